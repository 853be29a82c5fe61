//! The memory of a scope.
#![expect(unsafe_code, reason = "the trait of the engine is unsafe; what is done here is counting")]

use std::ptr::null_mut;
use std::sync::Arc;

use rquickjs::allocator::{Allocator, RustAllocator};

use crate::guard::Guard;

/// Memory of Rust's allocator, as much as the guard lets a scope have.
pub(crate) struct Guarded {
    memory: RustAllocator,
    guard: Arc<Guard>,
}

impl Guarded {
    pub(crate) fn new(guard: Arc<Guard>) -> Self {
        Self { memory: RustAllocator, guard }
    }

    /// What was taken, if the memory was had; nothing is taken if not. `RustAllocator` rounds up, so that is counted.
    fn settled(&self, taken: usize, pointer: *mut u8) -> *mut u8 {
        if pointer.is_null() {
            self.guard.give_back(taken);
        }
        pointer
    }
}

/// The unit in which `RustAllocator` rounds sizes up.
const UNIT: usize = align_of::<u64>();

fn rounded(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(UNIT)
}

// SAFETY: each block is one of `RustAllocator`, unchanged, or null; this only decides whether to ask for it. Sizes that
// cannot be are refused before `RustAllocator` sees them.
unsafe impl Allocator for Guarded {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        match rounded(size).filter(|size| self.guard.take(*size)) {
            Some(size) => {
                let pointer = self.memory.alloc(size);
                self.settled(size, pointer)
            }
            None => null_mut(),
        }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let total = count.checked_mul(size).filter(|total| *total > 0);
        match total.and_then(rounded).filter(|size| self.guard.take(*size)) {
            Some(total) => {
                let pointer = self.memory.calloc(1, total);
                self.settled(total, pointer)
            }
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&mut self, pointer: *mut u8) {
        // SAFETY: the caller says that it is a block of this allocator, and so of `RustAllocator`.
        unsafe {
            self.guard.give_back(RustAllocator::usable_size(pointer));
            self.memory.dealloc(pointer);
        }
    }

    unsafe fn realloc(&mut self, pointer: *mut u8, size: usize) -> *mut u8 {
        if pointer.is_null() {
            return self.alloc(size);
        }
        // SAFETY: as above; the old block stays if the answer is null.
        let old = unsafe { RustAllocator::usable_size(pointer) };
        let Some(size) = rounded(size) else { return null_mut() };
        if !self.guard.take(size) {
            return null_mut();
        }
        // SAFETY: as above.
        let new = unsafe { self.memory.realloc(pointer, size) };
        self.guard.give_back(if new.is_null() { size } else { old });
        new
    }

    unsafe fn usable_size(pointer: *mut u8) -> usize {
        // SAFETY: as above.
        unsafe { RustAllocator::usable_size(pointer) }
    }
}
