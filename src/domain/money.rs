//! Money: minor units with a currency, exact arithmetic in between, one rounding at the end.

use std::fmt;

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedMul, ToPrimitive, Zero};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::currency::Currency;

/// An amount in the minor units of its currency, in Stripe's exponents. May be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (cents, yen, fils).
    pub amount: i64,
    /// What they are units of.
    pub currency: Currency,
}

/// A sum or product that does not fit. The caller parks the customer and shows it; nothing wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the arithmetic overflows: an amount or rate is too large to be real money")]
pub struct Overflow;

/// An exact amount of minor units on its way to the one rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(Ratio<i128>);

impl Exact {
    /// Nothing.
    pub fn zero() -> Self {
        Self(Ratio::zero())
    }

    /// `numerator / denominator`; a zero denominator is an [`Overflow`].
    pub fn ratio(numerator: i64, denominator: i64) -> Result<Self, Overflow> {
        if denominator == 0 {
            return Err(Overflow);
        }
        Ok(Self(Ratio::new(i128::from(numerator), i128::from(denominator))))
    }

    /// A decimal rate such as `30` as an exact number (not divided by 100).
    pub fn decimal(value: Decimal) -> Result<Self, Overflow> {
        let scale = 10_i128.checked_pow(value.scale()).ok_or(Overflow)?;
        Ok(Self(Ratio::new(value.mantissa(), scale)))
    }

    /// Product.
    pub fn times(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_mul(&other.0).map(Self).ok_or(Overflow)
    }

    /// Sum.
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(&other.0).map(Self).ok_or(Overflow)
    }

    /// Difference.
    pub fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.plus(Self(-other.0))
    }

    /// Whether it is above zero.
    pub fn is_positive(self) -> bool {
        self.0 > Ratio::zero()
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The greatest whole number not above it, and what is left (0 <= rest < 1).
    pub fn floor_and_rest(self) -> Result<(i64, Self), Overflow> {
        let floor = self.0.floor();
        let whole = i64::try_from(*floor.numer()).map_err(|_| Overflow)?;
        Ok((whole, self.minus(Self(floor))?))
    }

    /// The one rounding: half to even, to whole minor units.
    pub fn round_half_even(self) -> Result<i64, Overflow> {
        let (whole, rest) = self.floor_and_rest()?;
        let half = Ratio::new(1, 2);
        let up = rest.0 > half || (rest.0 == half && whole % 2 != 0);
        if up { whole.checked_add(1).ok_or(Overflow) } else { Ok(whole) }
    }
}

impl From<i64> for Exact {
    fn from(value: i64) -> Self {
        Self(Ratio::from_integer(i128::from(value)))
    }
}

impl fmt::Display for Exact {
    /// Whole numbers as they are, others as a decimal of up to six places (for people, never parsed back).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_integer() {
            return write!(f, "{}", self.0.numer());
        }
        let millionths = self.0.checked_mul(&Ratio::from_integer(1_000_000)).map(|millionths| millionths.round());
        match millionths.and_then(|all| Decimal::try_from_i128_with_scale(*all.numer(), 6).ok()) {
            Some(decimal) => write!(f, "{}", decimal.normalize()),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Money {
    /// `amount` minor units of `currency`.
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The amount as a decimal in the currency's own exponent: `12.50`, `1250`, `1.250`. No currency, no grouping.
    pub fn decimal(self) -> String {
        decimal_text(self.amount, self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

/// Minor units as a signed decimal in the currency's own exponent.
pub fn decimal_text(amount: i64, currency: Currency) -> String {
    let exponent = currency.exponent() as usize;
    let digits = format!("{:0width$}", amount.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    let sign = if amount < 0 { "-" } else { "" };
    if exponent == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Reads a decimal such as `50.00` as minor units of `currency`; more places than the currency has are an error.
pub fn parse_decimal(text: &str, currency: Currency) -> Result<i64, String> {
    let value: Decimal =
        text.trim().parse().map_err(|_| format!("{text:?} is no amount: expected a decimal such as \"50.00\""))?;
    let scale = Decimal::from(10_i64.pow(currency.exponent()));
    let minor = value.checked_mul(scale).ok_or_else(|| format!("{text:?} is too large"))?;
    if !minor.fract().is_zero() {
        let places = currency.exponent();
        return Err(format!("{text:?} has more decimals than {currency} has ({places})"));
    }
    minor.to_i64().ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn exact_amounts_of_any_size_can_be_shown() {
        assert_eq!(Exact(Ratio::new(1, 3)).to_string(), "0.333333");
        assert_eq!(Exact(Ratio::new(i128::MAX, 2)).to_string(), format!("{}/2", i128::MAX));
    }

    #[test]
    fn rounding_is_half_to_even() {
        for (numerator, denominator, rounded) in
            [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (8, 3, 3), (-7, 3, -2)]
        {
            let exact = Exact::ratio(numerator, denominator).unwrap();
            assert_eq!(exact.round_half_even().unwrap(), rounded, "{numerator}/{denominator}");
        }
    }

    #[test]
    fn the_largest_amounts_are_exact_or_an_error() {
        let max = Exact::from(i64::MAX);
        let percent = Exact::decimal("100".parse().unwrap()).unwrap().times(Exact::ratio(1, 100).unwrap()).unwrap();
        assert_eq!(max.times(percent).unwrap().round_half_even().unwrap(), i64::MAX);
        assert_eq!(max.times(Exact::from(2)).unwrap().round_half_even(), Err(Overflow));
        assert_eq!(max.times(max).and_then(|square| square.times(max)), Err(Overflow));
    }

    #[test]
    fn nothing_is_neither_more_nor_less_than_nothing() {
        for (amount, is_positive, is_zero) in [(0, false, true), (1, true, false), (-1, false, false)] {
            let exact = Exact::from(amount);
            assert_eq!((exact.is_positive(), exact.is_zero()), (is_positive, is_zero), "{amount}");
        }
    }

    #[test]
    fn decimals_have_the_currencys_places() {
        for (amount, code, text) in [
            (1250, "usd", "12.50"),
            (-5, "usd", "-0.05"),
            (1250, "jpy", "1250"),
            (1250, "kwd", "1.250"),
            (i64::MIN, "usd", "-92233720368547758.08"),
        ] {
            assert_eq!(decimal_text(amount, currency(code)), text);
        }
        assert_eq!(parse_decimal("50.00", currency("usd")), Ok(5000));
        assert_eq!(parse_decimal("50", currency("jpy")), Ok(50));
        assert!(parse_decimal("0.5", currency("jpy")).is_err());
        assert!(parse_decimal("99999999999999999999", currency("usd")).is_err());
        assert!(parse_decimal("ten", currency("usd")).is_err());
    }
}
