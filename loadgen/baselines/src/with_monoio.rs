//! The server as one writes it on monoio: a task a connection, halves of a stream, owned buffers.

use std::future::Future;
use std::io;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::{TcpListener, TcpStream};

use crate::desk::{Backend, Client};
use crate::office::{Office, Outlet, Spawn, Writer};
use crate::say_ports;

/// Bytes of a client's read buffer: a hello comes in one read, and an idle client costs little.
const CLIENT_BUFFER: usize = 128;
const BACKEND_BUFFER: usize = 64 * 1024;
const ENTRIES: u32 = 4096;

impl Writer for OwnedWriteHalf<TcpStream> {
    async fn write_all(&mut self, bytes: Rc<Vec<u8>>) -> io::Result<()> {
        AsyncWriteRentExt::write_all(self, bytes).await.0.map(drop)
    }
}

/// Tasks of monoio.
struct Tasks;

impl Spawn for Tasks {
    type Writer = OwnedWriteHalf<TcpStream>;

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> {
        monoio::spawn(work)
    }
}

/// Serves for ever.
pub(crate) fn serve() -> io::Result<()> {
    let builder = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().with_entries(ENTRIES);
    builder.build()?.block_on(accept())
}

async fn accept() -> io::Result<()> {
    let (clients, backends) =
        (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    say_ports(clients.local_addr(), backends.local_addr());
    let office = Office::<Tasks>::new();
    let of_backends = Rc::clone(&office);
    monoio::spawn(async move {
        while let Ok((stream, _)) = backends.accept().await {
            monoio::spawn(serve_backend(Rc::clone(&of_backends), stream));
        }
    });
    loop {
        let (stream, _) = clients.accept().await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let client = Client::new(Rc::clone(&office), Outlet::new(writer));
        monoio::spawn(serve_client(client, reader));
    }
}

async fn serve_client(mut client: Client<Tasks>, mut reader: OwnedReadHalf<TcpStream>) {
    let mut buffer = Vec::with_capacity(CLIENT_BUFFER);
    loop {
        let (read, filled) = reader.read(buffer).await;
        buffer = filled;
        match read {
            Ok(length) if length > 0 && client.receive(&buffer[..length]).await => buffer.clear(),
            _ => return,
        }
    }
}

async fn serve_backend(office: Rc<Office<Tasks>>, mut stream: TcpStream) {
    let mut backend = Backend::new(office);
    let mut buffer = Vec::with_capacity(BACKEND_BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        buffer = filled;
        let Ok(length @ 1..) = read else { return };
        let Some(answers) = backend.receive(&buffer[..length]).await else { return };
        buffer.clear();
        if stream.write_all(answers).await.0.is_err() {
            return;
        }
    }
}
