//! `healthcheck`: whether a service on this machine answers, for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Empty;
use hyper::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::Failure;
use crate::config::Config;

/// Asks the service that listens on LISTEN on this machine whether it answers. Exit code 0: it does.
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  LISTEN=0.0.0.0:8080 commission-bridge healthcheck")]
pub struct Arguments {
    /// Whether the database answers, too
    #[arg(long)]
    ready: bool,
    /// How many seconds it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let path = if arguments.ready { "readyz" } else { "healthz" };
    let url = format!("http://{}/{path}", reached(config.listen));
    let failed = |why: String| Failure::Said(format!("{url}: {why}"));
    let address = url.parse().map_err(|_| failed("is no address".to_owned()))?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(Duration::from_secs(arguments.timeout), client.get(address)).await;
    match answer {
        Err(_) => Err(failed(format!("no answer within {} s", arguments.timeout))),
        Ok(Err(error)) => Err(failed(format!("does not answer: {error}"))),
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
        Ok(Ok(answer)) => Err(failed(format!("answers {}", answer.status()))),
    }
}

/// Where a service that listens there is reached from this machine.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn every_address_is_reached_by_one_of_this_machine() {
        for (listen, address) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:8080", "10.0.0.1:8080")]
        {
            assert_eq!(reached(listen.parse().unwrap()).to_string(), address);
        }
    }
}
