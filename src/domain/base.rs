//! The base of a commission: what of a payment's money each of its lines stands for, adding up to the whole.

use super::facts::{ChargeBooked, Line};
use super::history::Payment;
use super::money::{Exact, Overflow};
use super::terms::Base;

/// The base of the whole payment: really paid (`gross`), or really paid × (total − tax) ÷ total (`net`), less the fees
/// and never below zero (`net_of_fees`).
pub fn whole(base: Base, paid: i64, total: i64, tax: i64, fees: Exact) -> Result<Exact, Overflow> {
    match base {
        Base::NetOfFees => {
            let left = whole(Base::Net, paid, total, tax, fees)?.minus(fees)?;
            Ok(if left.is_positive() { left } else { Exact::zero() })
        }
        Base::Net if total > 0 => {
            let without_tax = total.checked_sub(tax).ok_or(Overflow)?;
            Exact::from(paid).times(Exact::ratio(without_tax, total)?)
        }
        Base::Net | Base::Gross => Ok(Exact::from(paid)),
    }
}

/// What Stripe took for a payment, minor units of its currency; none where not all of it is known. A fee in the currency
/// of the merchant's balance is converted at the rate at which the charge itself was.
pub fn fees(payment: &Payment) -> Result<Option<Exact>, Overflow> {
    let (mut sum, mut charged) = (Exact::zero(), 0_i64);
    for charge in payment.charges.iter().filter(|charge| charge.captured > 0) {
        let Some(ChargeBooked { fee, amount, .. }) = charge.booked else { return Ok(None) };
        charged = charged.checked_add(charge.captured).ok_or(Overflow)?;
        let rate = if amount == 0 { Exact::zero() } else { Exact::ratio(charge.captured, amount)? };
        sum = sum.plus(Exact::from(fee).times(rate)?)?;
    }
    Ok((charged >= payment.on_stripe).then_some(sum))
}

/// The base of each line. Negative lines keep their amount; what the payment as a whole has less (discount, credit, tax)
/// or more (tax on top) than its lines is spread over the positive ones by largest remainder, so that the parts add up
/// to the whole. Ties go to the earlier line.
pub fn by_line(lines: &[Line], whole: Exact) -> Result<Vec<Exact>, Overflow> {
    let mut sum: i64 = 0;
    let mut positive: i64 = 0;
    for line in lines {
        sum = sum.checked_add(line.amount).ok_or(Overflow)?;
        positive = positive.checked_add(line.amount.max(0)).ok_or(Overflow)?;
    }
    let mut bases: Vec<Exact> = lines.iter().map(|line| Exact::from(line.amount)).collect();
    let less = Exact::from(sum).minus(whole)?;
    if less.is_zero() {
        return Ok(bases);
    }
    if positive == 0 {
        // Nothing positive to spread over (a mere shipping fee, or lines that were not shown): the first line has it all.
        if let Some(first) = bases.first_mut() {
            *first = first.minus(less)?;
        }
        return Ok(bases);
    }
    // More is spread as less is: the larger part of it to the earlier of equals.
    let more = !less.is_positive();
    let (units, fraction) = if more { Exact::zero().minus(less)? } else { less }.floor_and_rest()?;
    let shares = largest_remainder(lines, units, positive)?;
    let moved = |base: &Exact, by: Exact| if more { base.plus(by) } else { base.minus(by) };
    for (base, share) in bases.iter_mut().zip(&shares.units) {
        *base = moved(base, Exact::from(*share))?;
    }
    // What is left of a minor unit (a partly paid invoice) goes to the next in line.
    let next = shares.next;
    bases[next] = moved(&bases[next], fraction)?;
    Ok(bases)
}

struct Shares {
    units: Vec<i64>,
    /// Whose turn it is next.
    next: usize,
}

fn largest_remainder(lines: &[Line], units: i64, positive: i64) -> Result<Shares, Overflow> {
    let mut shares = Vec::with_capacity(lines.len());
    let mut remainders = Vec::new();
    let mut given: i64 = 0;
    for (index, line) in lines.iter().enumerate() {
        if line.amount <= 0 {
            shares.push(0);
            continue;
        }
        let share = Exact::from(units).times(Exact::ratio(line.amount, positive)?)?;
        let (whole, rest) = share.floor_and_rest()?;
        shares.push(whole);
        given = given.checked_add(whole).ok_or(Overflow)?;
        remainders.push((rest, index));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = usize::try_from(units.checked_sub(given).ok_or(Overflow)?).map_err(|_| Overflow)?;
    for &(_, index) in remainders.iter().take(left) {
        shares[index] += 1;
    }
    let next = remainders.get(left).or(remainders.first()).map_or(0, |&(_, index)| index);
    Ok(Shares { units: shares, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;
    use crate::domain::facts::BillingReason;
    use crate::domain::history::{ChargeMoney, fold};
    use crate::domain::story::Story;

    fn lines(amounts: &[i64]) -> Vec<Line> {
        amounts.iter().map(|&amount| Line { amount, ..Line::default() }).collect()
    }

    fn rounded(bases: &[Exact]) -> Vec<String> {
        bases.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_discount_is_spread_by_largest_remainder() {
        // 100 off 1000 + 500: shares 66.67 and 33.33, so 67 and 33.
        let bases = by_line(&lines(&[1000, 500]), Exact::from(1400)).unwrap();
        assert_eq!(rounded(&bases), ["933", "467"]);
    }

    #[test]
    fn negative_lines_keep_their_amount() {
        let bases = by_line(&lines(&[3000, -1000]), Exact::from(1900)).unwrap();
        assert_eq!(rounded(&bases), ["2900", "-1000"]);
    }

    #[test]
    fn tax_on_top_is_spread_too() {
        let bases = by_line(&lines(&[1000, 1000, 1000]), Exact::from(3100)).unwrap();
        // 100 over three: 33 each, and the one that is left goes to the first of equals.
        assert_eq!(rounded(&bases), ["1034", "1033", "1033"]);
    }

    #[test]
    fn the_parts_of_a_partly_paid_invoice_add_up_exactly() {
        // Paid 700 of 1190 with 190 tax: 700 x 1000 / 1190.
        let whole = whole(Base::Net, 700, 1190, 190, Exact::zero()).unwrap();
        let bases = by_line(&lines(&[600, 400]), whole).unwrap();
        let sum = bases[0].plus(bases[1]).unwrap();
        assert_eq!(sum, whole);
    }

    #[test]
    fn without_positive_lines_nothing_is_lost() {
        assert_eq!(rounded(&by_line(&lines(&[0]), Exact::from(500)).unwrap()), ["500"]);
    }

    #[test]
    fn without_a_total_the_base_is_what_was_paid() {
        for total in [0, -5] {
            assert_eq!(whole(Base::Net, 500, total, 0, Exact::zero()), Ok(Exact::from(500)), "{total}");
        }
        assert_eq!(whole(Base::Gross, 500, 1000, 190, Exact::zero()), Ok(Exact::from(500)));
        assert_eq!(whole(Base::NetOfFees, 500, 0, 0, Exact::from(20)), Ok(Exact::from(480)));
        assert_eq!(whole(Base::NetOfFees, 500, 0, 0, Exact::from(501)), Ok(Exact::zero()));
    }

    fn charged(captured: i64, booked: Option<(i64, i64)>) -> ChargeMoney {
        let at = Time::from_timestamp(1_790_000_000, 0).unwrap();
        let booked = booked.map(|(fee, amount)| ChargeBooked { fee, amount, at });
        ChargeMoney { captured, booked, ..ChargeMoney::default() }
    }

    fn fees_of(on_stripe: i64, charges: Vec<ChargeMoney>) -> Option<Exact> {
        let mut story = Story::default();
        story.pays("in_1", "2026-01-05", on_stripe, BillingReason::Manual).done();
        let mut payment = fold(&story.events).payments.remove(0);
        payment.charges = charges;
        fees(&payment).unwrap()
    }

    #[test]
    fn fees_are_known_once_all_that_was_charged_is_booked() {
        assert_eq!(fees_of(1000, vec![charged(1000, Some((59, 1000)))]), Some(Exact::from(59)));
        assert_eq!(fees_of(1000, vec![charged(1000, None)]), None);
        assert_eq!(fees_of(1000, vec![charged(400, Some((20, 400)))]), None, "600 were charged elsewhere");
        let both = vec![charged(400, Some((20, 400))), charged(600, Some((30, 600)))];
        assert_eq!(fees_of(1000, both), Some(Exact::from(50)));
        // An attempt that failed took nothing and costs nothing.
        let failed_first = vec![charged(0, None), charged(1000, Some((59, 1000)))];
        assert_eq!(fees_of(1000, failed_first), Some(Exact::from(59)));
        assert_eq!(fees_of(0, vec![charged(0, Some((59, 0)))]), Some(Exact::zero()));
        // Booked as 2000 of another currency, so that 100 of those are 50 of these.
        assert_eq!(fees_of(1000, vec![charged(1000, Some((100, 2000)))]), Some(Exact::from(50)));
        assert_eq!(fees_of(1000, vec![charged(1000, Some((100, 0)))]), Some(Exact::zero()));
    }

    #[test]
    fn lines_that_add_up_stay_as_they_are() {
        assert_eq!(rounded(&by_line(&lines(&[700, -200]), Exact::from(500)).unwrap()), ["700", "-200"]);
        assert_eq!(rounded(&by_line(&lines(&[-200, 0]), Exact::from(-200)).unwrap()), ["-200", "0"]);
        assert_eq!(rounded(&by_line(&lines(&[-200, 0]), Exact::from(300)).unwrap()), ["300", "0"]);
    }

    #[test]
    fn a_line_of_nothing_gets_nothing_of_what_is_spread() {
        // 1 off three lines of which one is free: the first of the equals has it.
        assert_eq!(rounded(&by_line(&lines(&[0, 500, 500]), Exact::from(999)).unwrap()), ["0", "499", "500"]);
        assert_eq!(rounded(&by_line(&lines(&[0, 500, 500]), Exact::from(1001)).unwrap()), ["0", "501", "500"]);
    }
}
