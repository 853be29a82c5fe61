use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Counts, Mode, Proxy, Ways};

/// A server that answers each read with the same bytes, and tells how many it has read.
struct Scene {
    proxy: Proxy,
    client: TcpStream,
    heard: Receiver<usize>,
}

const A_WHILE: Duration = Duration::from_millis(200);

impl Scene {
    fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start("127.0.0.1:0", &server.local_addr().unwrap().to_string()).unwrap();
        let client = TcpStream::connect(proxy.address()).unwrap();
        let (tell, heard) = channel();
        thread::spawn(move || {
            let mut connection = server.accept().unwrap().0;
            let mut bytes = vec![0; 1 << 20];
            while let Ok(read @ 1..) = connection.read(&mut bytes) {
                let _nobody_waits = tell.send(read);
                connection.write_all(&bytes[..read]).unwrap();
            }
        });
        let scene = Self { proxy, client, heard };
        scene.says("hello");
        assert_eq!(scene.hears(5), Ok("hello".into()));
        assert_eq!(scene.heard.recv().unwrap(), 5);
        scene
    }

    fn says(&self, text: &str) {
        (&self.client).write_all(text.as_bytes()).unwrap();
    }

    fn hears(&self, bytes: usize) -> Result<String, ErrorKind> {
        let mut answer = vec![0; bytes];
        (&self.client).read_exact(&mut answer).map_err(|error| error.kind())?;
        Ok(String::from_utf8(answer).unwrap())
    }

    fn hears_nothing(&self) {
        self.client.set_read_timeout(Some(A_WHILE)).unwrap();
        assert_eq!(self.hears(1), Err(ErrorKind::WouldBlock));
        self.client.set_read_timeout(None).unwrap();
    }
}

#[test]
fn what_passes_is_counted() {
    let scene = Scene::new();
    let counts = scene.proxy.switch(Mode::Pass);
    assert_eq!(counts, Counts { live: 0, opened: 1, cut: 0, from_clients: 5, from_broker: 5 });
    assert_eq!(scene.proxy.counts(), Counts { live: 1, ..Counts::default() });
}

#[test]
fn a_delay_holds_each_way_once() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Delay(A_WHILE));
    let start = Instant::now();
    scene.says("later");
    assert_eq!(scene.hears(5), Ok("later".into()));
    assert!(start.elapsed() >= 2 * A_WHILE);
}

#[test]
fn a_limit_takes_its_time() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Limit(10_000));
    let start = Instant::now();
    scene.says(&"x".repeat(2_000));
    assert!(scene.hears(2_000).is_ok());
    assert!(start.elapsed() >= 2 * A_WHILE);
}

#[test]
fn a_reset_ends_old_and_new_connections() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Reset);
    assert_eq!(scene.hears(1), Err(ErrorKind::ConnectionReset));
    assert!(scene.heard.recv().is_err(), "the server's side is reset as well");
    let again = TcpStream::connect(scene.proxy.address()).unwrap();
    let error = (&again).read_exact(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(scene.proxy.counts(), Counts { live: 1, opened: 1, cut: 2, ..Counts::default() });
}

#[test]
fn who_is_refused_gets_an_end() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Refuse);
    assert_eq!(scene.hears(1), Err(ErrorKind::UnexpectedEof));
    let again = TcpStream::connect(scene.proxy.address()).unwrap();
    assert_eq!((&again).read(&mut [0]).unwrap(), 0);
    assert_eq!(scene.proxy.switch(Mode::Pass).cut, 2);
}

#[test]
fn a_blackhole_keeps_connections_and_gives_back_what_it_held() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Blackhole(Ways::Both));
    scene.says("where");
    scene.hears_nothing();
    assert!(scene.heard.try_recv().is_err());
    let counts = scene.proxy.switch(Mode::Pass);
    assert_eq!(counts, Counts { live: 1, from_clients: 5, ..Counts::default() });
    assert_eq!(scene.hears(5), Ok("where".into()));
}

#[test]
fn one_way_is_swallowed_and_the_other_is_not() {
    let scene = Scene::new();
    scene.proxy.switch(Mode::Blackhole(Ways::ToClient));
    scene.says("asked");
    assert_eq!(scene.heard.recv().unwrap(), 5);
    scene.hears_nothing();
    let counts = scene.proxy.switch(Mode::Blackhole(Ways::ToBroker));
    assert_eq!((counts.from_clients, counts.from_broker), (5, 5));
    assert_eq!(scene.hears(5), Ok("asked".into()));
    scene.says("unheard");
    scene.hears_nothing();
    assert!(scene.heard.try_recv().is_err());
}
