#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "template/formatting.h"
#include "template/numbers.h"
#include "template/objects.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

/// One conversion such as %-5.2f.
struct Conversion {
  bool left = false, zero = false, alternate = false;
  char sign = 0;  ///< '+', ' ' or 0
  std::int64_t width = 0, precision = -1;
  char type = 0;
};

class PercentFormat {
 public:
  PercentFormat(const Text& format, const Value& arguments)
      : format_(format), bytes_(format.view()), arguments_(arguments) {
    const bool tuple = arguments.is(Kind::sequence) && arguments.as_sequence().is_tuple;
    if (tuple)
      positional_ = arguments.as_sequence().items;
    else
      positional_ = {arguments};
    // What has items may stay unused.
    may_rest_ = !tuple && (arguments.is(Kind::mapping) || arguments.is(Kind::sequence) ||
                           arguments.is_undefined() || arguments.as<Range>());
  }

  Value run() {
    while (at_ < bytes_.size()) {
      const std::size_t percent = std::min(bytes_.find('%', at_), bytes_.size());
      result_.add(format_, at_, percent);
      at_ = percent;
      if (at_ < bytes_.size()) convert();
    }
    if (next_ < positional_.size() && !may_rest_ && !named_)
      throw Fault("not all arguments converted during string formatting");
    return Value(result_.finish(format_.is_markup()));
  }

 private:
  char take() {
    if (at_ >= bytes_.size()) throw Fault("incomplete format");
    return bytes_[at_++];
  }

  const Value& argument() {
    if (has_key_) return key_value_;
    if (next_ >= positional_.size()) throw Fault("not enough arguments for format string");
    return positional_[next_++];
  }

  void read_key() {
    int level = 1;
    const std::size_t begin = at_;
    while (level > 0) {
      const char c = take();
      level += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    if (!arguments_.is(Kind::mapping)) throw Fault("format requires a mapping");
    const std::string_view key = bytes_.substr(begin, at_ - 1 - begin);
    const Value* value = arguments_.as_mapping().find(key);
    if (!value) throw Fault(quoted_text(key));
    key_value_ = *value;
    has_key_ = named_ = true;
  }

  std::int64_t number() {
    if (at_ < bytes_.size() && bytes_[at_] == '*') {
      ++at_;
      const Value value = argument();
      if (!value.is_integral()) throw Fault("* wants int");
      return value.as_integer().is_negative() ? -checked_width(-value.as_integer())
                                              : checked_width(value.as_integer());
    }
    const std::size_t begin = at_;
    while (at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9') ++at_;
    if (at_ == begin) return 0;
    return checked_width(
        *Integer::of_digits(bytes_.substr(begin, std::min<std::size_t>(at_ - begin, 40)), 10));
  }

  Conversion read_conversion() {
    Conversion conversion;
    char c = take();
    if (c == '(') {
      read_key();
      c = take();
    }
    for (;; c = take()) {
      if (c == '-')
        conversion.left = true;
      else if (c == '0')
        conversion.zero = true;
      else if (c == '#')
        conversion.alternate = true;
      else if (c == '+')
        conversion.sign = '+';
      else if (c == ' ')
        conversion.sign = conversion.sign ? conversion.sign : ' ';
      else
        break;
    }
    --at_;
    conversion.width = number();
    if (conversion.width < 0) {
      conversion.left = true;
      conversion.width = -conversion.width;
    }
    if (at_ < bytes_.size() && bytes_[at_] == '.') {
      ++at_;
      conversion.precision = std::max<std::int64_t>(0, number());
    }
    c = take();
    if (c == 'h' || c == 'l' || c == 'L') c = take();
    conversion.type = c;
    return conversion;
  }

  void convert() {
    ++at_;
    has_key_ = false;
    const Conversion conversion = read_conversion();
    if (conversion.type == '%') {
      result_.add(format_, at_ - 1, at_);
      return;
    }
    if (std::string_view("diouxXeEfFgGcrsa").find(conversion.type) == std::string_view::npos)
      throw Fault("unsupported format character");
    const Value value = argument();
    FormatSpec spec;
    spec.width = conversion.width;
    if (conversion.left) spec.align = '<';
    switch (conversion.type) {
      case 's':
      case 'r':
      case 'a':
      case 'c':
        result_.add(*padded(*text_for(conversion, value), spec, '>'));
        return;
      default:
        break;
    }
    if (conversion.zero && !conversion.left) {
      spec.fill = '0';
      spec.align = '=';
    }
    result_.add(*padded(*make_text(number_for(conversion, value)), spec, '>'));
  }

  TextRef text_for(const Conversion& conversion, const Value& value) {
    TextRef text;
    const bool is_plain = value.is(Kind::text) && !value.as_text().is_markup();
    if (conversion.type == 's') {
      text = format_.is_markup() ? escaped(value) : text_of(value);
    } else if (conversion.type == 'c') {
      text = value.is(Kind::text) && value.as_text().length() == 1 ? value.text_ref()
                                                                   : character_of(value);
    } else if (conversion.type == 'a' && is_plain) {
      text = make_text(quoted_text(value.as_text().view(), true), !value.as_text().input().empty());
    } else {
      TextBuilder builder;
      print_repr(builder, value);
      text = builder.finish();
    }
    if (conversion.precision >= 0 && conversion.precision < text->length())
      text = part_of(*text, 0, text->byte_of(conversion.precision));
    return text;
  }

  std::string number_for(const Conversion& conversion, const Value& value) {
    std::string digits;
    bool negative = false;
    if (std::string_view("eEfFgG").find(conversion.type) != std::string_view::npos) {
      if (value.is_undefined()) fail_undefined(value);
      if (!value.is_numeric())
        throw Fault(fmt::format("must be real number, not {}", type_name(value)));
      const double number = to_float(value);
      negative = std::signbit(number);
      digits =
          float_digits(std::fabs(number), conversion.type,
                       conversion.precision < 0 ? 6 : conversion.precision, conversion.alternate);
    } else {
      const Integer number = integer_for(conversion, value);
      negative = number.is_negative();
      digits = integer_digits(conversion, negative ? -number : number);
    }
    const char sign = negative ? '-' : conversion.sign;
    if (sign) digits.insert(0, 1, sign);
    return digits;
  }

  static Integer integer_for(const Conversion& conversion, const Value& value) {
    const bool decimal = conversion.type == 'd' || conversion.type == 'i' || conversion.type == 'u';
    if (value.is_undefined()) fail_undefined(value);
    if (value.is_integral()) return value.as_integer();
    if (decimal && value.is(Kind::number) && std::isfinite(value.as_number()))
      return Integer::of_double(value.as_number());
    throw Fault(fmt::format("%{} format: {} is required, not {}", conversion.type,
                            decimal ? "a real number" : "an integer", type_name(value)));
  }

  static std::string integer_digits(const Conversion& conversion, const Integer& magnitude) {
    const char type = conversion.type;
    const unsigned base = type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
    std::string digits = magnitude.text(base);
    if (conversion.precision > static_cast<std::int64_t>(digits.size()))
      digits.insert(0, static_cast<std::size_t>(conversion.precision) - digits.size(), '0');
    if (conversion.alternate && base != 10) digits.insert(0, base == 8 ? "0o" : "0x");
    if (type == 'X')
      for (char& c : digits) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return digits;
  }

  const Text& format_;
  std::string_view bytes_;
  const Value& arguments_;
  std::vector<Value> positional_;
  bool may_rest_ = false, named_ = false, has_key_ = false;
  Value key_value_;
  std::size_t at_ = 0, next_ = 0;
  TextBuilder result_;
};

}  // namespace

Value percent_format(const Text& format, const Value& arguments) {
  return PercentFormat(format, arguments).run();
}

}  // namespace bitaxon::jinja
