//! Making a connection: to the server that the words name, or to the primary that a sentinel names now.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::redis::{
    Client, ClientTlsConfig, Cmd, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates, Value,
};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::pool::remedy;
use super::target::{Paths, Peer, Target};

/// A server that is there takes a connection within this, also where the first packet is lost, which is sent again after a second.
pub const CONNECT: Duration = Duration::from_millis(1500);
/// ... and answers within this.
pub const ANSWER: Duration = Duration::from_secs(2);

/// What is in the files that the words name. Shown to nobody.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Files {
    pub password: Option<String>,
    /// PEM.
    pub ca: Option<Vec<u8>>,
    /// Certificate and key, PEM.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    /// Reads the files that the words name.
    ///
    /// # Errors
    /// Which one cannot be read or used, and why.
    pub fn read(paths: &Paths, read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Result<Files, String> {
        let mut read = |path: &Option<String>| path.as_deref().map(&mut *read).transpose();
        let password = match read(&paths.password)? {
            None => None,
            Some(bytes) => {
                let text = String::from_utf8(bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
                let text = text.filter(|text| !text.is_empty() && !text.contains('\n'));
                Some(text.ok_or_else(|| format!("{}: a password is one line of UTF-8", paths.password.as_deref().unwrap_or_default()))?)
            }
        };
        let mut pem = |path: &Option<String>, what: &str| match read(path)? {
            Some(bytes) if !bytes.windows(what.len()).any(|window| window == what.as_bytes()) => {
                Err(format!("{}: it has no {what} in PEM", path.as_deref().unwrap_or_default()))
            }
            bytes => Ok(bytes),
        };
        let client = pem(&paths.cert, "BEGIN CERTIFICATE")?.zip(pem(&paths.key, "PRIVATE KEY-----")?);
        Ok(Files { password, ca: pem(&paths.ca, "BEGIN CERTIFICATE")?, client })
    }
}

pub struct Connector {
    target: Target,
    files: Files,
    /// The sentinel that answered last.
    sentinel: AtomicUsize,
}

impl Connector {
    pub fn new(target: Target, files: Files) -> Connector {
        Connector { target, files, sentinel: AtomicUsize::new(0) }
    }

    /// Connects, to the primary if sentinels are to be asked.
    pub fn connect(&self) -> RedisResult<Connection> {
        match &self.target.peer {
            Peer::Tcp(host, port) => open(ConnectionAddr::Tcp(host.clone(), *port), self.settings()),
            Peer::Unix(path) => {
                knock(path)?;
                open(ConnectionAddr::Unix(path.clone()), self.settings())
            }
            Peer::Tls(host, port) => self.open_tls(host, *port),
            Peer::Sentinel(sentinels, service) => self.open_primary(sentinels, service),
        }
    }

    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default().set_db(self.target.db).set_lib_name("mod_session_rs", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.target.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = self.target.password.as_ref().or(self.files.password.as_ref()) {
            settings = settings.set_password(password);
        }
        settings
    }

    fn open_tls(&self, host: &str, port: u16) -> RedisResult<Connection> {
        // Without a provider rustls panics. Who was here before has installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let addr = ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None };
        let info = info(addr, self.settings())?;
        let client_tls = self.files.client.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let client = Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: self.files.ca.clone() })?;
        timed(client.get_connection_with_timeout(CONNECT)?)
    }

    /// Asks the sentinels, beginning with the one that answered last, until one names a server that says itself that it is a primary: for a
    /// moment after a fail-over some still name the old one.
    fn open_primary(&self, sentinels: &[(String, u16)], service: &str) -> RedisResult<Connection> {
        let first = self.sentinel.load(Ordering::Relaxed);
        let mut trouble = None;
        for number in (first..first + sentinels.len()).map(|number| number % sentinels.len()) {
            let (host, port) = &sentinels[number];
            match self.ask(host, *port, service) {
                Ok(connection) => {
                    self.sentinel.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => {
                    let why = format!("{host}:{port}: {error}{}", remedy(&error));
                    let why = RedisError::from((ErrorKind::Client, "sentinel", why));
                    trouble.get_or_insert(why);
                }
            }
        }
        Err(trouble.unwrap_or_else(|| RedisError::from((ErrorKind::Client, "no sentinel"))))
    }

    fn ask(&self, host: &str, port: u16, service: &str) -> RedisResult<Connection> {
        let plain = RedisConnectionInfo::default().set_skip_set_lib_name();
        let mut sentinel = open(ConnectionAddr::Tcp(host.to_owned(), port), plain)?;
        let named: Option<(String, u16)> = Cmd::new().arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).query(&mut sentinel)?;
        let (host, port) = named.ok_or_else(|| RedisError::from((ErrorKind::Client, "it knows no service", service.to_owned())))?;
        let mut connection = open(ConnectionAddr::Tcp(host.clone(), port), self.settings())?;
        let role: Vec<Value> = Cmd::new().arg("ROLE").query(&mut connection)?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(RedisError::from((ErrorKind::Client, "no primary yet", format!("{host}:{port} is a replica")))),
        }
    }
}

fn info(addr: ConnectionAddr, settings: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    Ok(addr.into_connection_info()?.set_redis_settings(settings))
}

fn open(addr: ConnectionAddr, settings: RedisConnectionInfo) -> RedisResult<Connection> {
    timed(Client::open(info(addr, settings)?)?.get_connection_with_timeout(CONNECT)?)
}

/// Sees whether a server behind a socket takes connections and answers, whatever it says. To connect has no time-out there: once the queue of a
/// server that stands still is full, it would take as long as that.
fn knock(path: &Path) -> std::io::Result<()> {
    let (address, end) = (SocketAddrUnix::new(path)?, Instant::now() + CONNECT);
    let socket = loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        match net::connect(&socket, &address) {
            Ok(()) => break socket,
            Err(Errno::AGAIN) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            Err(Errno::AGAIN) => return Err(std::io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    };
    let mut stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))))?;
    stream.write_all(b"PING\r\n")?;
    stream.read_exact(&mut [0])
}

/// Without this a server that stands still would keep us for ever.
fn timed(connection: Connection) -> RedisResult<Connection> {
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_write_timeout(Some(ANSWER))?;
    Ok(connection)
}
