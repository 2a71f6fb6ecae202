//! A stateful fake of Stripe's API over HTTP, on threads of its own, so that any test can use it, whatever its runtime
//! and clock: accounts, account links, the balance, transfers and their reversals, under Stripe's idempotency rules; webhook
//! endpoints; and what merchants have in their accounts ([`Merchant`]), listed and looked up.
//! Its faults are a plan; its books can be read and written by the test.
//!
//! It speaks HTTP by hand: a dropped connection and an answer that never comes are things no framework does on demand.

// Each test program uses what it needs of this.
#![allow(dead_code)]

mod api;
mod completing;
mod endpoints;
mod expand;
mod faults;
mod idempotency;
mod kinds;
mod large;
mod lists;
mod merchant;
mod shelf;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use commission_bridge::clock::Clock;

#[allow(unused_imports, reason = "each test program uses what it needs")]
pub use endpoints::Endpoint;
#[allow(unused_imports, reason = "each test program uses what it needs")]
pub use faults::{Fault, Faults, mixed};
#[allow(unused_imports, reason = "each test program uses what it needs")]
pub use kinds::Kind;
#[allow(unused_imports, reason = "each test program uses what it needs")]
pub use merchant::Merchant;

/// The keys that it accepts.
pub const LIVE_KEY: &str = "sk_live_of_the_test";
pub const TEST_KEY: &str = "sk_test_of_the_test";
/// Restricted keys, which may do what [`Books::lacks`] leaves them, as the others in this fake.
pub const LIVE_RESTRICTED_KEY: &str = "rk_live_of_the_test";
pub const TEST_RESTRICTED_KEY: &str = "rk_test_of_the_test";

/// The account whose keys they are.
pub const OWN_ACCOUNT: &str = "acct_of_the_test";

/// A connected account.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    /// `active`, `pending`, `inactive`.
    pub transfers: String,
    pub currently_due: Vec<String>,
    pub email: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// A transfer, as it stands in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub id: String,
    pub amount: i64,
    pub amount_reversed: i64,
    pub currency: String,
    pub destination: String,
    pub group: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub key: Option<String>,
    pub created: i64,
}

/// What a test does between two requests.
pub type AfterEach = Box<dyn FnMut(&mut Books, &str) + Send>;

/// All that it knows.
#[derive(Default)]
pub struct Books {
    pub accounts: BTreeMap<String, Account>,
    /// Whether any account is known that nobody made.
    pub any_account: bool,
    pub available: BTreeMap<String, i64>,
    /// In order.
    pub transfers: Vec<Transfer>,
    /// `METHOD path`, in order of arrival.
    pub requests: Vec<String>,
    /// Permissions that the key lacks: `transfers_write`, `transfers_read`, `balance_read`, `invoice_read`,
    /// `charge_read` (refunds as well), `event_read`, `webhook_write`, `account_read`, …
    pub lacks: Vec<&'static str>,
    /// Keys that were revoked.
    pub revoked: Vec<&'static str>,
    /// Whose keys they are; [`OWN_ACCOUNT`].
    pub own_account: String,
    /// What merchants have: one for each account and mode.
    pub merchants: Vec<Merchant>,
    pub endpoints: Vec<Endpoint>,
    /// So many requests in one second of the clock, then 429.
    pub per_second: Option<u32>,
    /// Answers in place of the next ones to requests that begin so (`GET /v1/events`): status and body.
    pub instead: Vec<(String, u16, String)>,
    /// Called after each request with the books and `METHOD path`: to change things between two pages.
    pub after_each: Option<AfterEach>,
    pub links: u64,
    endpoints_made: u64,
    /// The running second, and how many requests it has seen.
    second: (i64, u32),
    /// By the beginning of the requests.
    faults_of: Vec<(String, Faults)>,
    keys: HashMap<String, idempotency::Kept>,
    faults: Faults,
    /// Requests that wait until the test lets them go on.
    held: usize,
    released: bool,
}

impl Books {
    /// What an account has in a mode.
    pub fn of(&self, account: &str, livemode: bool) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.account == account && merchant.livemode == livemode)
    }

    /// The first merchant, who is mostly the only one.
    pub fn merchant(&mut self) -> &mut Merchant {
        self.merchants.first_mut().expect("a merchant was put into the books")
    }

    /// Every payout's transfers: by group, how often and how much.
    pub fn paid(&self) -> BTreeMap<String, Vec<i64>> {
        let mut paid: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for transfer in &self.transfers {
            paid.entry(transfer.group.clone().unwrap_or_default()).or_default().push(transfer.amount);
        }
        paid
    }

    pub fn count(&self, request: &str) -> usize {
        self.requests.iter().filter(|one| one.starts_with(request)).count()
    }
}

struct Shared {
    books: Mutex<Books>,
    moved: Condvar,
    clock: Clock,
    closed: AtomicBool,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The fake; it ends with the test.
pub struct FakeStripe {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl FakeStripe {
    /// Starts one whose keys expire by this clock. Every account may be paid, and there is money enough.
    pub fn start(clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let books = Books { any_account: true, own_account: OWN_ACCOUNT.to_owned(), ..Books::default() };
        let (books, moved) = (Mutex::new(books), Condvar::new());
        let shared = Arc::new(Shared { books, moved, clock, closed: AtomicBool::new(false) });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, accepting.clone()) else { continue };
                std::thread::spawn(move || wire::serve(&stream, &shared));
            }
        });
        let fake = Self { address, shared };
        for currency in ["usd", "eur", "isk", "huf", "kwd"] {
            fake.books().available.insert(currency.to_owned(), 1_000_000_000);
        }
        fake
    }

    /// For `STRIPE_API_BASE`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The books, held still.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.shared.books()
    }

    /// Starts one with this merchant in it.
    pub fn with(clock: Clock, merchant: Merchant) -> Self {
        let fake = Self::start(clock);
        fake.books().merchants.push(merchant);
        fake
    }

    /// What goes wrong from now on with requests that begin so (`GET /v1/invoices`, `GET`); in the place of what was
    /// planned for the same beginning.
    pub fn plan_for(&self, beginning: &str, faults: Faults) {
        let mut books = self.books();
        books.faults_of.retain(|(known, _)| known != beginning);
        books.faults_of.push((beginning.to_owned(), faults));
    }

    /// Answers the next request that begins so with this status and body.
    pub fn answer_next(&self, beginning: &str, status: u16, body: &str) {
        self.books().instead.push((beginning.to_owned(), status, body.to_owned()));
    }

    /// Calls this after each request.
    pub fn after_each(&self, call: impl FnMut(&mut Books, &str) + Send + 'static) {
        self.books().after_each = Some(Box::new(call));
    }

    /// What goes wrong with transfers from now on.
    pub fn plan(&self, faults: Faults) {
        self.books().faults = faults;
    }

    /// Waits until so many requests are held.
    pub fn until_held(&self, count: usize) {
        let mut books = self.books();
        while books.held < count {
            books = self.shared.moved.wait(books).unwrap();
        }
    }

    /// Lets held requests go on.
    pub fn release(&self) {
        self.books().released = true;
        self.shared.moved.notify_all();
    }

    /// Takes a transfer back, in part or whole, as the merchant would in the dashboard.
    pub fn reverse(&self, id: &str, amount: i64) -> Transfer {
        let mut books = self.books();
        let transfer = books.transfers.iter_mut().find(|transfer| transfer.id == id).unwrap();
        transfer.amount_reversed += amount;
        transfer.clone()
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.release();
        // Whoever waits for a connection gets the last one.
        let _ = std::net::TcpStream::connect(self.address);
    }
}
