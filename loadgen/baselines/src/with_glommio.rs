//! The server as one writes it on glommio: a task a connection, halves of a stream, borrowed
//! buffers.

use std::future::Future;
use std::io;
use std::rc::Rc;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

use crate::desk::{Backend, Client};
use crate::office::{Office, Outlet, Spawn, Writer};
use crate::say_ports;

/// Bytes of a client's read buffer: a hello comes in one read, and an idle client costs little.
const CLIENT_BUFFER: usize = 128;
const BACKEND_BUFFER: usize = 64 * 1024;
const ENTRIES: usize = 4096;

impl Writer for WriteHalf<TcpStream> {
    async fn write_all(&mut self, bytes: Rc<Vec<u8>>) -> io::Result<()> {
        AsyncWriteExt::write_all(self, &bytes).await
    }
}

/// Tasks of glommio.
struct Tasks;

impl Spawn for Tasks {
    type Writer = WriteHalf<TcpStream>;

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> {
        glommio::spawn_local(work)
    }
}

/// glommio's errors cannot be carried between threads; their text can.
fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Serves for ever, on this core.
pub(crate) fn serve(core: usize) -> io::Result<()> {
    let builder = LocalExecutorBuilder::new(Placement::Fixed(core)).ring_depth(ENTRIES);
    let executor = builder.make().map_err(failed)?;
    executor.run(accept())
}

async fn accept() -> io::Result<()> {
    let listen = || TcpListener::bind("127.0.0.1:0").map_err(failed);
    let (clients, backends) = (listen()?, listen()?);
    let port = |listener: &TcpListener| listener.local_addr().map_err(failed);
    say_ports(port(&clients), port(&backends));
    let office = Office::<Tasks>::new();
    let of_backends = Rc::clone(&office);
    glommio::spawn_local(async move {
        while let Ok(stream) = backends.accept().await {
            glommio::spawn_local(serve_backend(Rc::clone(&of_backends), stream)).detach();
        }
    })
    .detach();
    loop {
        let stream = clients.accept().await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (reader, writer) = split(stream);
        let client = Client::new(Rc::clone(&office), Outlet::new(writer));
        glommio::spawn_local(serve_client(client, reader)).detach();
    }
}

async fn serve_client(mut client: Client<Tasks>, mut reader: ReadHalf<TcpStream>) {
    let mut buffer = [0; CLIENT_BUFFER];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        if !client.receive(&buffer[..length]).await {
            return;
        }
    }
}

async fn serve_backend(office: Rc<Office<Tasks>>, mut stream: TcpStream) {
    let mut backend = Backend::new(office);
    let mut buffer = vec![0; BACKEND_BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let Some(answers) = backend.receive(&buffer[..length]).await else { return };
        if stream.write_all(&answers).await.is_err() {
            return;
        }
    }
}
