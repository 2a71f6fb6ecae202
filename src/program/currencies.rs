//! The currencies that Stripe can charge in, or once could: a slip such as `uds` is found before it prices nothing.

use crate::domain::currency::Currency;

const KNOWN: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn \
    byr bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd eek egp etb eur fjd fkp gbp gel ghs gip gmd gnf gtq \
    gyd hkd hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl ltl lvl \
    mad mdl mga mkd mmk mnt mop mro mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln \
    pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sll sos srd ssp std stn svc szl thb tjs tnd top try ttd twd \
    tzs uah ugx usd uyu uzs vef vnd vuv wst xaf xcd xcg xof xpf yer zar zmk zmw";

/// Whether Stripe knows the currency.
pub(super) fn is_known(currency: Currency) -> bool {
    KNOWN.split_ascii_whitespace().any(|code| code == currency.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_not_known() {
        for (code, known) in [("usd", true), ("EUR", true), ("zmw", true), ("uds", false), ("xxx", false)] {
            assert_eq!(is_known(code.parse().unwrap()), known, "{code}");
        }
    }
}
