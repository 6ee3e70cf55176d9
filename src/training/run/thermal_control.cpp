#include "training/run/thermal_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bitaxon {
namespace {

/// A sensor without readings counts as the latest reading for so long.
constexpr double kPatienceSeconds = 10;
/// At ThermalSettings::pause, the share of the time that is work.
constexpr double kLeastWork = 0.5;

}  // namespace

TooHot::TooHot(double temperature)
    : Error(ErrorKind::device,
            fmt::format("{:.0f} C: the machine is too hot to go on", temperature)) {}

ThermalControl::ThermalControl(const ThermalSettings& settings, Sensor sensor, Time time,
                               std::function<void(const ThermalEvent&)> on_event)
    : settings_(settings),
      sensor_(std::move(sensor)),
      time_(std::move(time)),
      on_event_(std::move(on_event)) {
  if (!settings_.enabled) return;
  read_at_ = time_.now();
  temperature_ = sensor_();
  if (temperature_) return;
  is_off_ = true;
  tell(ThermalEvent::Kind::sensor_missing);
}

void ThermalControl::tell(ThermalEvent::Kind kind, double seconds) const {
  if (on_event_) on_event_({kind, temperature_.value_or(0), seconds});
}

void ThermalControl::read() {
  read_at_ = time_.now();
  if (const std::optional<double> reading = sensor_()) {
    temperature_ = reading;
    lost_at_.reset();
    if (std::exchange(is_off_, false)) tell(ThermalEvent::Kind::sensor_found);
    return;
  }
  if (is_off_) return;
  if (!lost_at_) lost_at_ = read_at_;
  if (read_at_ - *lost_at_ < kPatienceSeconds) return;
  is_off_ = true;
  tell(ThermalEvent::Kind::sensor_lost);
  temperature_.reset();
}

bool ThermalControl::is_hot() const {
  if (is_off_ || !temperature_) return false;
  // Without a reading, a warm machine may have become hot.
  return *temperature_ >= settings_.pause || (lost_at_ && *temperature_ >= settings_.warm);
}

void ThermalControl::before_part() {
  if (!settings_.enabled) return;
  if (time_.now() - read_at_ >= settings_.poll_seconds) read();
  if (!is_off_ && temperature_ && *temperature_ >= settings_.stop) throw TooHot(*temperature_);
  if (is_hot())
    wait_until_cool();
  else
    rest();
  worked_since_ = time_.now();
}

void ThermalControl::wait_until_cool() {
  const double begin = time_.now();
  tell(ThermalEvent::Kind::paused);
  do {
    sleep(settings_.poll_seconds);
    read();
    if (!is_off_ && *temperature_ >= settings_.stop) throw TooHot(*temperature_);
  } while (!is_off_ && (lost_at_ || *temperature_ > settings_.resume));
  tell(ThermalEvent::Kind::resumed, time_.now() - begin);
}

void ThermalControl::rest() {
  if (!worked_since_ || is_off_ || !temperature_ || *temperature_ <= settings_.warm) return;
  const double heat = (*temperature_ - settings_.warm) / (settings_.pause - settings_.warm);
  const double work = 1 - (1 - kLeastWork) * std::min(heat, 1.0);
  sleep((time_.now() - *worked_since_) * (1 / work - 1));
}

void ThermalControl::sleep(double seconds) {
  const double begin = time_.now();
  time_.sleep(seconds);
  paused_seconds_ += time_.now() - begin;
}

}  // namespace bitaxon
