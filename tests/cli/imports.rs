//! `import`: moving in from another tool, twice, with mistakes, and what it earns.

use crate::blackbox::Home;
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(
    a_file_is_tried_imported_and_then_known,
    customers_of_another_tool_earn_since_their_date,
    nothing_is_imported_of_a_file_with_faults,
);

fn a_file_is_tried_imported_and_then_known(home: &mut Home) {
    crate::shop(home);
    home.write(
        "partners.csv",
        "\u{feff}key;name;email;country;programs;payout_method;payout_account;payout_currency\r\n\
         crane;Crane Ltd;;;;;;\r\n\
         dove;Dove;team@dove.example;de;saas;paypal;money@dove.example;eur\r\n\
         elm;;;;;;;\r\n",
    );
    home.run("import partners.csv --kind partners --dry-run");
    home.run("import partners.csv --kind partners --program saas --dry-run --json");
    home.run("import partners.csv --kind partners --program saas");
    home.run("import partners.csv --kind partners --program saas");
    home.write("codes.csv", "code,partner_key,program\nDOVE10,dove,saas\nacme20,acme,\n");
    home.run("import codes.csv --kind codes");
    home.run("import codes.csv --kind codes --json");
    home.run_with("import - --kind codes", b"code,partner_key\nDOVE10,acme\n");
    shows!("import", home.transcript());
}

fn customers_of_another_tool_earn_since_their_date(home: &mut Home) {
    shop_with_sales(home);
    home.write(
        "rewardful.csv",
        "stripe_customer_id,first_name,last_name,email,paypal_email,wise_email,token,created_at,visitors\n\
         cus_2,Ann,Example,ann@example.com,,,ann,2025-01-01,17\n\
         cus_8,Ann,Example,ann@example.com,,,ann,2099-01-01,17\n",
    );
    home.run("balances");
    home.run("import rewardful.csv --kind partners --program saas");
    home.run("import rewardful.csv --kind customers --dry-run");
    home.run("import rewardful.csv --kind customers");
    home.run("import rewardful.csv --kind customers");
    home.write("own.csv", "customer,partner_key,since\nSeven@Example.com,bolt,2025-01-01\nu-1,bolt,\n");
    home.run("import own.csv --kind customers --dry-run");
    home.run("import own.csv --kind customers");
    home.run("import own.csv --kind customers");
    home.run("balances");
    home.run("verify");
    shows!("import_customers", home.transcript());
}

fn nothing_is_imported_of_a_file_with_faults(home: &mut Home) {
    crate::shop(home);
    let before = home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM changes");
    home.write("empty.csv", "");
    home.write("latin.csv", b"key,name\nmueller,M\xfcller\n");
    home.write("unknown.csv", "who,what\nme@private.example,1\n");
    home.write("rows.csv", "key,email,payout_method\ndove,not-an-address,paypal\nacme,,\n,,\nelm,x\n");
    home.write("many.csv", format!("key,country\n{}", "a b,Germany\n".repeat(15)));
    home.write(
        "customers.csv",
        "customer,partner_key,program\ncus_1,nobody,\nann@private.example,who@private.example,\ncus_2,acme,sass\n",
    );
    for words in [
        "import nowhere.csv --kind partners",
        "import empty.csv --kind partners",
        "import latin.csv --kind partners",
        "import unknown.csv --kind partners",
        "import rows.csv --kind partners",
        "import many.csv --kind partners",
        "import customers.csv --kind customers",
        "import customers.csv --kind customers --dry-run",
        "import rows.csv --kind partners --format tolt",
        "import customers.csv --kind codes --program sass",
    ] {
        assert_eq!(home.run(words).code, Some(1), "{words}");
    }
    assert!(!home.transcript().contains("ann@private") && !home.transcript().contains("me@private"));
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM changes"), before);
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM leads"), 0);
    shows!("import_faults", home.transcript());
}
