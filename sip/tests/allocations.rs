//! How often the memory allocator is asked, which a measurement of time only hints at.

// An allocator is unsafe by its nature; this one passes everything on. All of this file is a test.
#![allow(unsafe_code, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use kraliki_sip::{Builder, Message, Name, Request};

struct Counting;

thread_local! {
    /// Allocations of this thread: tests run beside one another.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nobody who reads it.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.get();
    let result = work();
    (COUNT.get() - before, result)
}

fn invite() -> Bytes {
    let filler = "x".repeat(600);
    let text = format!(
        "INVITE sip:+13025550142@carrier.example.net SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.17;branch=z9hG4bKa\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.17>\r\n\
         Subject: {filler}\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    );
    Bytes::from(text)
}

fn parse(raw: Bytes) -> Request {
    match Message::parse(raw) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parsing_takes_one_and_reading_none() {
    let raw = invite();
    let (parsing, request) = allocations(|| parse(raw));
    assert_eq!(parsing, 1, "the places of the header lines");
    let (reading, _) = allocations(|| {
        request.via().unwrap().branch().unwrap();
        request.from().unwrap().tag().unwrap();
        request.to().unwrap();
        request.contact().unwrap().parsed_uri().unwrap();
        (request.call_id().unwrap(), request.cseq().unwrap().number)
    });
    assert_eq!(reading, 0);
}

#[test]
fn writing_takes_two() {
    let request = parse(invite());
    let body = request.body();
    let is_kept = |name: Name, _: &[u8]| !matches!(name, Name::ContentType | Name::ContentLength);
    let (writing, copy) = allocations(|| {
        Builder::like_request(&request).headers(&request, is_kept).body("application/sdp", &body)
    });
    assert!(writing <= 2, "the buffer, and what shares it: {writing}");
    assert_eq!(&copy, request.raw());
}
