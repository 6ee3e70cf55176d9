// Keeps a training run from overheating the machine. Pauses never change the numbers of a run.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "bitaxon/error.h"

namespace bitaxon {

/// Temperatures in degrees Celsius. resume < pause, warm <= pause and pause < stop.
struct ThermalSettings {
  bool enabled = true;
  double warm = 75;   ///< from here on the work becomes slower: at `pause` half of the time is rest
  double pause = 85;  ///< from here on the run waits
  double stop = 95;   ///< from here on the run ends
  double resume = 75;  ///< a run that waits goes on at this temperature
  double poll_seconds = 1;
};

/// The machine has reached ThermalSettings::stop.
class TooHot : public Error {
 public:
  explicit TooHot(double temperature);
};

/// A change that a user should know about.
struct ThermalEvent {
  enum class Kind { paused, resumed, sensor_missing, sensor_lost, sensor_found } kind;
  double temperature = 0;  ///< the latest reading
  double seconds = 0;      ///< of the pause that ended
};

class ThermalControl {
 public:
  using Sensor = std::function<std::optional<double>()>;
  /// The time in seconds, and a sleep of some seconds, which may throw.
  struct Time {
    std::function<double()> now;
    std::function<void(double seconds)> sleep;
  };

  /// Reads the sensor once. The event sensor_missing tells that there is none.
  ThermalControl(const ThermalSettings& settings, Sensor sensor, Time time,
                 std::function<void(const ThermalEvent&)> on_event);

  /// Call this before each part of the work. Returns at once on a cool machine. Sleeps on a warm
  /// machine, and waits on a hot one. Reads the sensor when the latest reading is older than the poll
  /// time. Throws TooHot, and what the sleep throws.
  void before_part();
  /// Reads the sensor now, however old the latest reading is.
  void read();

  /// The latest reading. Empty if there is none.
  std::optional<double> temperature() const { return temperature_; }
  /// Seconds of all waits and rests.
  double paused_seconds() const { return paused_seconds_; }

 private:
  void wait_until_cool();
  void rest();
  void sleep(double seconds);
  bool is_hot() const;
  void tell(ThermalEvent::Kind kind, double seconds = 0) const;

  ThermalSettings settings_;
  Sensor sensor_;
  Time time_;
  std::function<void(const ThermalEvent&)> on_event_;
  std::optional<double> temperature_;
  double read_at_ = 0;
  std::optional<double> lost_at_;       ///< since when the sensor gives no reading
  bool is_off_ = false;                 ///< for want of a sensor
  std::optional<double> worked_since_;  ///< the end of the latest wait; empty before the first part
  double paused_seconds_ = 0;
};

}  // namespace bitaxon
