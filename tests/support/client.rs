//! A small HTTP/1.1 client with a cookie jar: tests must see each header as it came, and be rude when they want to.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    time::Duration,
};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps cookies by name for all paths, as one browser on one site. A clone has the same cookies and its own connection.
pub struct Client {
    port: u16,
    jar: Vec<(String, String)>,
    keep_alive: bool,
    reluctant: bool,
    connection: Option<BufReader<TcpStream>>,
}

pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request that was sent and whose response was not read. To drop it is to hang up.
pub struct Pending {
    connection: BufReader<TcpStream>,
    has_body: bool,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client { port, jar: Vec::new(), keep_alive: false, reluctant: false, connection: None }
    }

    /// Requests go over one connection as long as the server keeps it; one that finds it closed is sent again over a new
    /// one. Where the server is killed and each request must run at most once, leave this off.
    pub fn keep_alive(mut self) -> Client {
        self.keep_alive = true;
        self
    }

    /// The kernel takes next to nothing of a response that nobody reads.
    pub fn reluctant(mut self) -> Client {
        self.reluctant = true;
        self
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", path, headers, b"")
    }

    pub fn head(&mut self, path: &str) -> Response {
        self.request("HEAD", path, &[], b"")
    }

    /// `Host`, `Cookie` and `Connection` are ours unless they are among the headers.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// For requests that a dying server may leave without an answer.
    pub fn try_request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let reused = self.connection.is_some();
        let (response, connection) = match self.send(method, path, headers, body).and_then(Pending::read) {
            // A server may close an idle connection at any time; event does when it is busy. The request never arrived.
            Err(error) if reused && is_hang_up(&error) => self.send(method, path, headers, body)?.read()?,
            outcome => outcome?,
        };
        let stays = response.header("Connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        self.connection = (self.keep_alive && stays).then_some(connection);
        self.learn(&response);
        Ok(response)
    }

    /// Sends a request over a connection of its own and comes back at once.
    pub fn begin(&mut self, path: &str) -> Pending {
        self.begin_with(path, &[])
    }

    pub fn begin_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Pending {
        self.connection = None;
        self.send("GET", path, headers, b"").unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// As `begin`, with a body.
    pub fn begin_post(&mut self, path: &str, body: &[u8]) -> Pending {
        self.connection = None;
        self.send("POST", path, &[], body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values.
    pub fn cookies(&self) -> &[(String, String)] {
        &self.jar
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.forget_cookie(name);
        self.jar.push((name.into(), value.into()));
    }

    pub fn forget_cookie(&mut self, name: &str) {
        self.jar.retain(|(known, _)| known != name);
    }

    /// Does to the jar what the Set-Cookie headers ask for; `request` and its kin have done so already.
    pub fn learn(&mut self, response: &Response) {
        for header in response.set_cookies() {
            let mut parts = header.split(';').map(str::trim);
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap_or_else(|| panic!("Set-Cookie: {header}"));
            if parts.any(ends_cookie) {
                self.forget_cookie(name);
            } else {
                self.set_cookie(name, value);
            }
        }
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Pending> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.port, self.reluctant)?,
        };
        let cookies = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let ours = [
            ("Host", format!("localhost:{}", self.port)),
            ("Cookie", cookies),
            ("Connection", if self.keep_alive { "keep-alive" } else { "close" }.into()),
            ("Content-Length", if body.is_empty() { String::new() } else { body.len().to_string() }),
        ];
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        for (name, value) in ours {
            if !value.is_empty() && !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        text += "\r\n";
        connection.get_mut().write_all(&[text.as_bytes(), body].concat())?;
        Ok(Pending { connection, has_body: method != "HEAD" })
    }
}

impl Clone for Client {
    fn clone(&self) -> Client {
        Client { jar: self.jar.clone(), connection: None, ..*self }
    }
}

impl Pending {
    pub fn finish(self) -> Response {
        self.read().unwrap_or_else(|error| panic!("no response: {error}")).0
    }

    fn read(mut self) -> io::Result<(Response, BufReader<TcpStream>)> {
        let connection = &mut self.connection;
        let (status, headers) = loop {
            let (status, headers) = read_head(connection)?;
            if status >= 200 {
                break (status, headers);
            }
        };
        let mut response = Response { status, headers, body: Vec::new() };
        if self.has_body && status != 204 && status != 304 {
            response.body = read_body(connection, &response)?;
        }
        Ok((response, self.connection))
    }
}

impl Response {
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    pub fn set_cookies(&self) -> Vec<String> {
        self.headers_named("Set-Cookie").map(str::to_owned).collect()
    }

    /// What the first line that begins with `op: ` says behind it.
    pub fn line(&self, op: &str) -> &str {
        let all = self.lines(op);
        all.first().unwrap_or_else(|| panic!("status {}, and no line of {op:?} in\n{}", self.status, self.text()))
    }

    /// What all lines that begin with `op: ` say behind it.
    pub fn lines(&self, op: &str) -> Vec<&str> {
        let lines = self.body.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
        lines.filter_map(|line| line.strip_prefix(op)?.strip_prefix(": ")).collect()
    }

    fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn connect(port: u16, reluctant: bool) -> io::Result<BufReader<TcpStream>> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let stream = if reluctant { connect_reluctantly(&address)? } else { TcpStream::connect(address)? };
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// The size of the buffer is told when the connection is made.
fn connect_reluctantly(address: &SocketAddrV4) -> io::Result<TcpStream> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, 4096)?;
    net::connect(&socket, address)?;
    Ok(socket.into())
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Servers delete a cookie by `Max-Age=0` or by a date long ago, for which all of them take the first of Unix time.
fn ends_cookie(attribute: &str) -> bool {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    match name.to_ascii_lowercase().as_str() {
        "max-age" => value.parse().is_ok_and(|seconds: i64| seconds <= 0),
        "expires" => value.contains("1970"),
        _ => false,
    }
}

fn read_head(connection: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    // A read with a time limit may be interrupted, which only `fill_buf` passes on.
    let nothing = loop {
        match connection.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => break answer?.is_empty(),
        }
    };
    if nothing {
        return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the server hung up without an answer"));
    }
    let first = read_line(connection)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| malformed(&first))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.into(), value.trim().into()));
    }
}

fn read_body(connection: &mut impl BufRead, response: &Response) -> io::Result<Vec<u8>> {
    if response.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(connection);
    }
    if let Some(length) = response.header("Content-Length") {
        return read_exactly(connection, length.parse().map_err(|_| malformed(length))?);
    }
    let mut body = Vec::new();
    connection.read_to_end(&mut body)?;
    Ok(body)
}

fn read_chunks(connection: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(connection)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        body.append(&mut read_exactly(connection, size)?);
        // Behind a chunk stands an empty line; behind the last, trailers and one.
        while !read_line(connection)?.is_empty() {}
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(connection: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    connection.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_line(connection: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up amid its answer")),
    }
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {text:?}"))
}
