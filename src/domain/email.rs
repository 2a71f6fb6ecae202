//! When two e-mail addresses are taken for the same person's, or the same house's.

use super::pseudonym::{self, Pseudonyms, is_pseudonym};
use super::terms::EmailMatch;

/// Hosts where anybody gets an address: people who share one have nothing else in common.
const PUBLIC: &str = "126.com 139.com 163.com 189.cn aim.com aliyun.com aol.com arcor.de att.net bellsouth.net \
    bigpond.com bigpond.net.au bk.ru bluewin.ch blueyonder.co.uk bol.com.br btinternet.com centrum.cz charter.net \
    comcast.net cox.net daum.net disroot.org duck.com earthlink.net email.com email.cz email.it fastmail.com \
    fastmail.fm foxmail.com free.fr freemail.hu freenet.de frontier.com gmail.com googlemail.com hanmail.net hey.com \
    home.nl hushmail.com icloud.com ig.com.br inbox.com inbox.ru interia.pl juno.com kpnmail.nl laposte.net \
    libero.it list.ru live.com mac.com mail.com mail.de mail.ee mail.ru mailbox.org mailfence.com me.com msn.com \
    naver.com neuf.fr nifty.com ntlworld.com o2.pl onet.eu onet.pl online.de optonline.net optusnet.com.au \
    orange.fr pm.me pobox.com posteo.de posteo.net privaterelay.appleid.com proton.me protonmail.ch protonmail.com \
    qq.com rambler.ru rediffmail.com riseup.net rocketmail.com rogers.com runbox.com sapo.pt sbcglobal.net \
    seznam.cz sfr.fr shaw.ca sina.com sina.cn skynet.be sky.com sohu.com startmail.com sympatico.ca t-online.de \
    talktalk.net telenet.be telia.com terra.com.br tiscali.it tuta.com tuta.io tutamail.com tutanota.com \
    tutanota.de ukr.net uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de windstream.net wp.pl \
    xs4all.nl xtra.co.nz yeah.net ymail.com zoho.com zoho.eu zohomail.com ziggo.nl";

/// Public hosts that are the same under many countries' endings: `yahoo.co.uk`, `hotmail.fr`.
const FAMILIES: [&str; 7] = ["gmx", "hotmail", "live", "outlook", "rocketmail", "yahoo", "yandex"];

/// Whether `a` and `b` are alike. Both may be in any case, with white space around. Where one was erased, `pseudonyms`
/// makes the other comparable.
pub fn alike(a: &str, b: &str, how: EmailMatch, pseudonyms: Option<&Pseudonyms>) -> bool {
    if is_pseudonym(a) || is_pseudonym(b) {
        return pseudonyms.map_or_else(|| pseudonym::alike(a, b, how), |known| known.alike(a, b, how));
    }
    let (a, b) = (plain(a), plain(b));
    if a.is_empty() || b.is_empty() {
        return false;
    }
    match how {
        EmailMatch::Email => a == b,
        EmailMatch::Normalized => mailbox(&a) == mailbox(&b),
        EmailMatch::Domain => {
            let (a, b) = (mailbox(&a), mailbox(&b));
            a == b || host(&a).is_some_and(|own| host(&b) == Some(own) && !is_public(own))
        }
    }
}

/// Trimmed and in lower case.
pub fn plain(email: &str) -> String {
    email.trim().to_lowercase()
}

/// The mailbox that a plain address leads to: without its `+tag`; at Google without dots, under one host.
pub(super) fn mailbox(plain: &str) -> String {
    let Some((name, host)) = plain.rsplit_once('@') else { return plain.to_owned() };
    let name = match name.split_once('+') {
        Some((name, _)) if !name.is_empty() => name,
        _ => name,
    };
    match host {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", name.replace('.', "")),
        _ => format!("{name}@{host}"),
    }
}

pub(super) fn host(mailbox: &str) -> Option<&str> {
    mailbox.rsplit_once('@').map(|(_, host)| host).filter(|host| !host.is_empty())
}

pub(super) fn is_public(host: &str) -> bool {
    let is_family = || {
        let Some((name, ending)) = host.split_once('.') else { return false };
        // `com`, `de`, `co.uk`, `com.br`.
        let ending: Vec<&str> = ending.split('.').collect();
        FAMILIES.contains(&name) && ending.len() <= 2 && ending.iter().all(|label| label.len() <= 3)
    };
    PUBLIC.split_ascii_whitespace().any(|known| known == host) || is_family()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn alike_as_the_program_says() {
        use EmailMatch::{Domain, Email, Normalized};
        for (a, b, strictest) in [
            ("ann@acme.example", " Ann@ACME.example ", Some(Email)),
            ("ann@acme.example", "ann+shop@acme.example", Some(Normalized)),
            ("a.nn+x@gmail.com", "Ann@googlemail.com", Some(Normalized)),
            ("a.nn@acme.example", "ann@acme.example", Some(Domain)),
            ("ann@acme.example", "bob@acme.example", Some(Domain)),
            ("ann@acme.example", "ann@mail.acme.example", None),
            ("ann@gmail.com", "bob@gmail.com", None),
            ("ann@gmail.com", "bob@googlemail.com", None),
            ("ann@yahoo.co.uk", "bob@yahoo.co.uk", None),
            ("ann@gmx.at", "bob@gmx.at", None),
            ("ann@web.de", "bob@web.de", None),
            ("ann@acme.com", "bob@acme.com", Some(Domain)),
            ("ann@yahoo.acme.com", "bob@yahoo.acme.com", Some(Domain)),
            ("ann@outlook.acme.example", "bob@outlook.acme.example", Some(Domain)),
            ("+a@acme.example", "+b@acme.example", Some(Domain)),
            ("", "", None),
            ("ann", "ann", Some(Email)),
            ("ann@", "bob@", None),
        ] {
            for how in [Email, Normalized, Domain] {
                let expected = strictest.is_some_and(|strictest| strictest <= how);
                assert_eq!(alike(a, b, how, None), expected, "{a:?} and {b:?} by {how:?}");
            }
        }
    }

    proptest! {
        /// A looser match never separates what a stricter one holds together, and nobody is unlike themselves.
        #[test]
        fn looser_is_never_stricter(a in "[ab.+]{1,4}@(gmail|googlemail|acme)[.]com", b in "[ab.+]{1,4}@(gmail|acme)[.]com") {
            prop_assert!(alike(&a, &a.to_uppercase(), EmailMatch::Email, None));
            for (strict, loose) in
                [(EmailMatch::Email, EmailMatch::Normalized), (EmailMatch::Normalized, EmailMatch::Domain)]
            {
                prop_assert!(!alike(&a, &b, strict, None) || alike(&a, &b, loose, None));
                prop_assert_eq!(alike(&a, &b, loose, None), alike(&b, &a, loose, None));
            }
        }
    }
}
