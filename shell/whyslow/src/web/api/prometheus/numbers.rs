//! Numbers and times as Prometheus writes them into JSON and text.

/// Appends a value: shortest digits that read back the same, exponents only for very small
/// and very large ones, `NaN`, `+Inf`, `-Inf`.
pub fn push_value(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let word = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return out.extend_from_slice(word.as_bytes());
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return push_with_exponent(out, value);
    }
    let mut buffer = ryu::Buffer::new();
    let digits = buffer.format_finite(value);
    if digits.contains('e') {
        // Still within the range Prometheus writes without an exponent.
        return out.extend_from_slice(value.to_string().as_bytes());
    }
    out.extend_from_slice(digits.strip_suffix(".0").unwrap_or(digits).as_bytes());
}

/// `1.5e-07`, `1e+21`: a sign, and at least two digits of exponent.
fn push_with_exponent(out: &mut Vec<u8>, value: f64) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    out.extend_from_slice(format!("{digits}e{sign}{exponent:0>2}").as_bytes());
}

/// Appends a time as seconds, with as many of three decimals as Prometheus shows: all or none.
pub fn push_time(out: &mut Vec<u8>, at_ms: i64) {
    if at_ms < 0 {
        out.push(b'-');
    }
    let (seconds, rest) = (at_ms.unsigned_abs() / 1000, at_ms.unsigned_abs() % 1000);
    push_integer(out, seconds);
    if rest != 0 {
        out.extend_from_slice(format!(".{rest:03}").as_bytes());
    }
}

fn push_integer(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(v: f64) -> String {
        let mut out = Vec::new();
        push_value(&mut out, v);
        String::from_utf8(out).unwrap()
    }

    fn time(at_ms: i64) -> String {
        let mut out = Vec::new();
        push_time(&mut out, at_ms);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_look_as_prometheus_prints_them() {
        for (v, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-07"),
            (1.5e-7, "1.5e-07"),
            (1e-300, "1e-300"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.25e100, "-1.25e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(value(v), text);
        }
    }

    #[test]
    fn times_are_seconds_with_all_milliseconds_or_none() {
        for (at_ms, text) in [
            (0, "0"),
            (1_435_781_430_781, "1435781430.781"),
            (1_435_781_430_000, "1435781430"),
            (1500, "1.500"),
            (7, "0.007"),
            (-1500, "-1.500"),
            (i64::MAX, "9223372036854775.807"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(time(at_ms), text);
        }
    }
}
