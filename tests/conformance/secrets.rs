//! Signing secrets in the database: encrypted as soon as there is a key, rotated, and never lost for want of one.

use chrono::TimeDelta;
use commission_bridge::admin::workspaces::{add_secret, remove_secret};
use commission_bridge::store::vault::Vault;
use commission_bridge::store::{Db, StoreError, webhook_secrets};

use crate::harness::World;

crate::on_both_engines!(
    plain_secrets_are_encrypted_when_a_key_appears,
    keys_are_rotated,
    a_secret_that_does_not_open_is_named_and_stays,
    the_same_secret_entered_twice_is_one,
);

const SECRET: &str = "whsec_alpha";

fn vault(keys: &[&str]) -> Vault {
    Vault::parse(&keys.join(",")).unwrap()
}

fn with(world: &World, keys: &[&str]) -> Db {
    world.db.clone().with_vault(vault(keys))
}

async fn enter(world: &World, db: &Db, secret: &str) -> String {
    let book = (world.workspace, commission_bridge::store::Mode::Live);
    let session =
        commission_bridge::admin::Session::begin(db, &world.clock, &world.ledger.ids, book, "test".to_owned());
    let mut session = session.await.unwrap();
    let id = add_secret(&mut session, secret, None).await.unwrap();
    session.commit().await.unwrap();
    id
}

async fn signing(world: &World, db: &Db) -> Result<Vec<String>, StoreError> {
    let mut tx = db.read().await.unwrap();
    webhook_secrets::signing(&mut tx, world.workspace, world.now()).await
}

async fn plain(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM webhook_secrets WHERE secret LIKE 'whsec_%'").await
}

async fn plain_secrets_are_encrypted_when_a_key_appears(world: &World) {
    enter(world, &world.db, SECRET).await;
    assert_eq!(plain(world).await, 1);
    let key = Vault::new_key().unwrap();
    let db = with(world, &[&key]);
    assert_eq!(webhook_secrets::keep_as(&db, db.vault()).await.unwrap(), 1);
    assert_eq!(webhook_secrets::keep_as(&db, db.vault()).await.unwrap(), 0, "once is enough");
    assert_eq!(plain(world).await, 0);
    assert_eq!(signing(world, &db).await.unwrap(), [SECRET]);
    enter(world, &db, "whsec_second").await;
    assert_eq!(plain(world).await, 0, "a new one is encrypted at once");
    assert_eq!(webhook_secrets::keep_as(&db, &Vault::default()).await.unwrap(), 2);
    assert_eq!(plain(world).await, 2, "and back, before the key is taken away");
    assert_eq!(signing(world, &world.db).await.unwrap(), [SECRET, "whsec_second"]);
}

async fn keys_are_rotated(world: &World) {
    let (old, new) = (Vault::new_key().unwrap(), Vault::new_key().unwrap());
    enter(world, &with(world, &[&old]), SECRET).await;
    let both = with(world, &[&new, &old]);
    assert_eq!(signing(world, &both).await.unwrap(), [SECRET]);
    assert_eq!(webhook_secrets::keep_as(&both, both.vault()).await.unwrap(), 1);
    assert_eq!(signing(world, &with(world, &[&new])).await.unwrap(), [SECRET]);
    signing(world, &with(world, &[&old])).await.unwrap_err();
}

async fn a_secret_that_does_not_open_is_named_and_stays(world: &World) {
    let key = Vault::new_key().unwrap();
    let id = enter(world, &with(world, &[&key]), SECRET).await;
    let stranger = Vault::new_key().unwrap();
    for keys in [&[][..], &[stranger.as_str()]] {
        let db = with(world, keys);
        let error = webhook_secrets::keep_as(&db, db.vault()).await.unwrap_err().to_string();
        assert!(error.contains("SECRETS_KEY") && error.contains(&id) && !error.contains("alpha"), "{error}");
        let error = signing(world, &db).await.unwrap_err();
        assert!(matches!(error, StoreError::Sealed { .. }) && !error.is_refusal(), "{error}");
    }
    enter(world, &world.db, "whsec_second").await;
    assert_eq!(signing(world, &world.db).await.unwrap(), ["whsec_second"], "what opens counts");
    assert_eq!(signing(world, &with(world, &[&key])).await.unwrap(), [SECRET, "whsec_second"], "nothing is lost");
    let mut session = world.session().await;
    remove_secret(&mut session, &id).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(signing(world, &world.db).await.unwrap(), ["whsec_second"], "what does not open can be removed");
}

async fn the_same_secret_entered_twice_is_one(world: &World) {
    let key = Vault::new_key().unwrap();
    let db = with(world, &[&key]);
    let id = enter(world, &db, SECRET).await;
    let mut tx = db.write(commission_bridge::store::Urgency::Now).await.unwrap();
    webhook_secrets::let_end(&mut tx, world.workspace, &id, world.now() + TimeDelta::hours(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(enter(world, &db, SECRET).await, id);
    world.clock.advance(TimeDelta::hours(2));
    assert_eq!(signing(world, &db).await.unwrap(), [SECRET]);
}
