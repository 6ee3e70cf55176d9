// Thermal control with a sensor that follows a script and a clock that only sleeping moves.
#include <gtest/gtest.h>

#include <deque>

#include "platform/temperature.h"
#include "stand_in.h"
#include "training/run/thermal_control.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;
using Kind = ThermalEvent::Kind;

class ThermalTest : public testing::Test {
 protected:
  /// The sensor gives these readings, one for each second, and then the last one.
  ThermalControl control(std::deque<std::optional<double>> readings) {
    readings_ = std::move(readings);
    return {settings_,
            [this] {
              const std::optional<double> reading = readings_.front();
              if (readings_.size() > 1) readings_.pop_front();
              return reading;
            },
            {[this] { return now_; }, [this](double seconds) { now_ += seconds; }},
            [this](const ThermalEvent& event) { events_.push_back(event.kind); }};
  }
  /// A part of the work that takes a second. Returns the seconds that control then waits.
  double work(ThermalControl& control) {
    now_ += 1;
    const double before = now_;
    control.before_part();
    return now_ - before;
  }

  ThermalSettings settings_;
  std::deque<std::optional<double>> readings_;
  double now_ = 100;
  std::vector<Kind> events_;
};

TEST_F(ThermalTest, DoesNotPauseACoolMachine) {
  ThermalControl thermal = control({60, 74, 75});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(work(thermal), 0);
  EXPECT_EQ(thermal.temperature(), 75);
  EXPECT_TRUE(events_.empty());
}

TEST_F(ThermalTest, WorksLessOnAWarmMachine) {
  ThermalControl thermal = control({60, 60, 80});
  EXPECT_EQ(work(thermal), 0);
  EXPECT_NEAR(work(thermal), 1 / 0.75 - 1, 1e-9);  // three quarters of the time at 80 C
  EXPECT_NEAR(thermal.paused_seconds(), 1 / 0.75 - 1, 1e-9);
}

TEST_F(ThermalTest, WaitsOnAHotMachineUntilItIsCool) {
  ThermalControl thermal = control({60, 86, 80, 76, 74});
  EXPECT_EQ(work(thermal), 3);
  EXPECT_EQ(events_, (std::vector{Kind::paused, Kind::resumed}));
  EXPECT_EQ(work(thermal), 0);
}

TEST_F(ThermalTest, EndsTheRunAtTheHighestTemperature) {
  ThermalControl at_once = control({60, 96});
  EXPECT_THROW(work(at_once), TooHot);
  ThermalControl while_waiting = control({60, 86, 90, 96});
  EXPECT_THROW(work(while_waiting), TooHot);
  ThermalControl at_start = control({99});
  EXPECT_THROW(work(at_start), TooHot);
}

TEST_F(ThermalTest, WaitsForASensorThatIsLostWhileHotAndThenGoesOnWithout) {
  ThermalControl thermal = control({60, 86, {}});
  const double waited = work(thermal);
  EXPECT_GE(waited, 10);
  EXPECT_LE(waited, 12);
  EXPECT_EQ(events_, (std::vector{Kind::paused, Kind::sensor_lost, Kind::resumed}));
  EXPECT_EQ(work(thermal), 0);
  readings_ = {88.0, 70.0};
  EXPECT_EQ(work(thermal), 1);
  EXPECT_EQ(events_[3], Kind::sensor_found);
}

TEST_F(ThermalTest, ForgivesAReadingThatFails) {
  ThermalControl thermal = control({60, {}, {}, 61});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(work(thermal), 0);
  EXPECT_TRUE(events_.empty());
}

TEST_F(ThermalTest, RunsWithoutASensor) {
  ThermalControl thermal = control({std::nullopt});
  EXPECT_EQ(events_, std::vector{Kind::sensor_missing});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(work(thermal), 0);
  EXPECT_EQ(events_.size(), 1u);
}

TEST_F(ThermalTest, CanBeSwitchedOff) {
  settings_.enabled = false;
  ThermalControl thermal = control({99});
  EXPECT_EQ(work(thermal), 0);
}

TEST(TemperatureFile, HoldsDegreesOrThousandths) {
  const TemporaryFolder folder;
  const auto read = [&](const char* text) {
    return file_temperature(folder.write("temperature", text));
  };
  EXPECT_EQ(read("86\n"), 86);
  EXPECT_EQ(read("86.5"), 86.5);
  EXPECT_EQ(read("86500\n"), 86.5);
  EXPECT_EQ(read("-5000"), -5);
  for (const char* garbage : {"", "hot", "86 C", "nan", "1e999"})
    EXPECT_EQ(read(garbage), std::nullopt) << garbage;
  EXPECT_EQ(file_temperature(folder / "none"), std::nullopt);
}

TEST(ThermalRun, PausesDoNotChangeTheNumbers) {
  const TemporaryFolder folder;
  StandInRun cool(folder / "cool");
  cool.settings.optimizer.max_steps = 8;
  cool.run();
  StandInRun hot(folder / "hot");
  hot.settings.optimizer.max_steps = 8;
  hot.settings.thermal.enabled = true;
  hot.settings.thermal.poll_seconds = 0.5;  // a reading takes a second
  hot.readings = {60, 86, 80, 74, 80, 60, 86, 96};
  const RunResult stopped = hot.run();
  EXPECT_EQ(stopped.end, RunEnd::too_hot);
  EXPECT_EQ(stopped.temperature, 96);
  EXPECT_GT(stopped.state.pause_seconds, 0);
  EXPECT_TRUE(fs::exists(folder / "hot" / checkpoint_name(stopped.state.step)));
  hot.readings = {60};
  EXPECT_EQ(hot.run().end, RunEnd::finished);
  for (const char* name : {"adapters.safetensors", "optimizer_state.safetensors"})
    EXPECT_TRUE(files_of(folder / "cool/step_00000008")[name] ==
                files_of(folder / "hot/step_00000008")[name])
        << name;
}

}  // namespace
}  // namespace bitaxon::test
