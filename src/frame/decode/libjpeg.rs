//! The one place that talks to libjpeg: a safe skin over `mozjpeg-sys`, thin enough to be read in one sitting.
//!
//! The safe `mozjpeg` crate is not enough here: it swallows the warning with which libjpeg announces that it has begun
//! to paint grey, and it offers neither cropped columns, nor skipped rows, nor a bound on the scans of a progressive file.
//!
//! libjpeg reports a fatal error by calling `error_exit`, which must not return. Ours unwinds, through C frames that
//! `mozjpeg-sys` (feature `unwinding`) compiles with `-fexceptions` and declares `extern "C-unwind"`, to the
//! `catch_unwind` in [`Open::call`]. `resume_unwind` skips the panic hook, so nothing is printed.

mod entropy;

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{NonNull, addr_of_mut};

use mozjpeg_sys as sys;

#[cfg(panic = "abort")]
compile_error!("libjpeg's errors are carried by unwinding: build with panic = \"unwind\"");

/// Why libjpeg gave up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The bytes end before the picture does.
    Truncated,
    /// A kind of JPEG that this libjpeg cannot decode, in its words.
    Unsupported(String),
    /// Anything else, in libjpeg's words.
    Corrupt(String),
    /// More scans than were allowed.
    TooManyScans,
}

/// What [`Libjpeg`] keeps for itself beside libjpeg's own structures.
struct State {
    cinfo: sys::jpeg_decompress_struct,
    err: sys::jpeg_error_mgr,
    progress: sys::jpeg_progress_mgr,
    /// libjpeg ran out of bytes, and was fed an end-of-image marker.
    hit_end: bool,
    max_scans: c_int,
    entropy: entropy::Entropy,
}

/// A decompressor that is used for one file after another.
#[derive(Debug)]
pub(super) struct Libjpeg(NonNull<State>);

// SAFETY: the state is reached only through this owner, and libjpeg keeps nothing in thread-local or global variables
// that depends on the thread (its SIMD detection is idempotent).
unsafe impl Send for Libjpeg {}

impl Libjpeg {
    pub(super) fn new() -> Self {
        // SAFETY: all three structures are plain C data, for which zeroes are a valid value (pointers, `Option`s of
        // functions, integers, and enums that have a variant 0). The box gives them an address that does not change:
        // `cinfo` points to its two neighbours. `jpeg_create_decompress` can only fail for a wrong library version or
        // structure size, which is fixed when this is compiled, or when malloc fails.
        unsafe {
            let state = Box::new(State {
                cinfo: std::mem::zeroed(),
                err: std::mem::zeroed(),
                progress: std::mem::zeroed(),
                hit_end: false,
                max_scans: c_int::MAX,
                entropy: entropy::Entropy::new(),
            });
            let state = NonNull::from(Box::leak(state));
            let raw = state.as_ptr();
            sys::jpeg_std_error(&mut *addr_of_mut!((*raw).err));
            (*raw).err.error_exit = Some(error_exit);
            (*raw).err.emit_message = Some(emit_message);
            (*raw).err.output_message = Some(output_message);
            (*raw).progress.progress_monitor = Some(progress_monitor);
            (*raw).cinfo.common.err = addr_of_mut!((*raw).err);
            sys::jpeg_create_decompress(addr_of_mut!((*raw).cinfo));
            (*raw).cinfo.common.progress = addr_of_mut!((*raw).progress);
            (*raw).cinfo.common.client_data = raw.cast();
            Self(state)
        }
    }

    #[cfg(test)]
    pub(super) fn probe(&mut self) -> &mut entropy::Probe {
        // SAFETY: `self` is borrowed for as long, so that libjpeg is not running.
        unsafe { &mut (*self.0.as_ptr()).entropy.probe }
    }

    /// Reads the header of a JPEG file. Nothing of the picture's size is allocated yet.
    pub(super) fn open<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Open<'a>, Failure> {
        let mut open = Open { state: self.0, bytes: PhantomData };
        // SAFETY: no reference to the state exists here; `Open` borrows both `self` and `bytes` for as long as libjpeg
        // may read them, and stops libjpeg when it is dropped.
        unsafe {
            (*self.0.as_ptr()).hit_end = false;
            (*self.0.as_ptr()).max_scans = c_int::MAX;
        }
        let length = bytes.len() as c_ulong;
        open.call(|cinfo| {
            // SAFETY: `bytes` outlives `Open`, see above.
            unsafe {
                sys::jpeg_mem_src(cinfo, bytes.as_ptr(), length);
                sys::jpeg_read_header(cinfo, 1);
            }
        })?;
        Ok(open)
    }
}

impl Drop for Libjpeg {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `new`, and no `Open` is left, since it borrows `self`.
        unsafe {
            let mut state = Box::from_raw(self.0.as_ptr());
            sys::jpeg_destroy_decompress(&mut state.cinfo);
        }
    }
}

/// One file that is being decoded; libjpeg forgets it when this is dropped, at whatever stage it is.
pub(super) struct Open<'a> {
    state: NonNull<State>,
    bytes: PhantomData<(&'a mut Libjpeg, &'a [u8])>,
}

impl Open<'_> {
    /// Calls into libjpeg; an error that it raises ends here.
    fn call<T>(&mut self, call: impl FnOnce(&mut sys::jpeg_decompress_struct) -> T) -> Result<T, Failure> {
        // SAFETY: the only reference to `cinfo`; the callbacks reach the other fields of the state through pointers.
        let cinfo = unsafe { &mut *addr_of_mut!((*self.state.as_ptr()).cinfo) };
        // Unwind safe: after a failure nothing is done with `cinfo` but `jpeg_abort_decompress`, which is made for that.
        catch_unwind(AssertUnwindSafe(|| call(cinfo))).map_err(|payload| match payload.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(other) => resume_unwind(other),
        })
    }

    fn cinfo(&self) -> &sys::jpeg_decompress_struct {
        // SAFETY: libjpeg is not running: it runs only within `call`, which borrows `self` mutably.
        unsafe { &(*self.state.as_ptr()).cinfo }
    }

    /// Width and height of the stored picture.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.cinfo().image_width, self.cinfo().image_height)
    }

    pub(super) fn has_four_components(&self) -> bool {
        self.cinfo().num_components == 4
    }

    /// Whether the whole file has to be read before the first row comes out, as for a progressive one.
    pub(super) fn has_multiple_scans(&mut self) -> Result<bool, Failure> {
        // SAFETY: the header was read.
        self.call(|cinfo| unsafe { sys::jpeg_has_multiple_scans(cinfo) != 0 })
    }

    /// Starts decoding at `eighths`/8 of the size, and returns width and height of what will come out.
    ///
    /// RGB comes out, or CMYK if the file has four components. With several scans, the file is read to its end here,
    /// or until `max_scans` is exceeded.
    pub(super) fn start(&mut self, eighths: u8, max_scans: u32) -> Result<(u32, u32), Failure> {
        // SAFETY: not within `call`, so nothing else refers to the state.
        unsafe { (*self.state.as_ptr()).max_scans = c_int::try_from(max_scans).unwrap_or(c_int::MAX) };
        let color = if self.has_four_components() { sys::J_COLOR_SPACE::JCS_CMYK } else { sys::J_COLOR_SPACE::JCS_RGB };
        let size = self.call(|cinfo| {
            cinfo.scale_num = c_uint::from(eighths);
            cinfo.scale_denom = 8;
            cinfo.out_color_space = color;
            // Both are what Pillow uses, and what training data was decoded with.
            cinfo.dct_method = sys::J_DCT_METHOD::JDCT_ISLOW;
            cinfo.do_fancy_upsampling = 1;
            // SAFETY: the header was read; `bytes` is borrowed by `self`.
            unsafe { sys::jpeg_start_decompress(cinfo) };
            (cinfo.output_width, cinfo.output_height)
        })?;
        if self.has_multiple_scans()? {
            // A progressive file cut between two scans decodes without complaint, to a blurred picture.
            return if self.hit_end() { Err(Failure::Truncated) } else { Ok(size) };
        }
        // SAFETY: just started, with one scan; libjpeg is not running.
        unsafe { entropy::replace(self.state.as_ptr()) };
        Ok(size)
    }

    /// Restricts the output to the columns from `x` on, `width` of them, and returns what libjpeg made of it: it moves
    /// `x` left to a multiple of its blocks. Only before the first row; the range must lie within the width.
    pub(super) fn crop_columns(&mut self, mut x: u32, mut width: u32) -> Result<(u32, u32), Failure> {
        // SAFETY: started; libjpeg checks the range.
        self.call(|cinfo| unsafe { sys::jpeg_crop_scanline(cinfo, &mut x, &mut width) })?;
        Ok((x, width))
    }

    /// Skips rows without transforming them.
    pub(super) fn skip_rows(&mut self, rows: u32) -> Result<(), Failure> {
        // SAFETY: started, and the source never suspends.
        self.call(|cinfo| unsafe { sys::jpeg_skip_scanlines(cinfo, rows) })?;
        Ok(())
    }

    /// Fills `out` with whole rows, each of as many bytes as the width in force has components.
    pub(super) fn read_rows(&mut self, out: &mut [u8]) -> Result<(), Failure> {
        let row_bytes = self.cinfo().output_width as usize * self.cinfo().output_components as usize;
        debug_assert_eq!(out.len() % row_bytes, 0);
        self.call(|cinfo| {
            let mut rest = out;
            while rest.len() >= row_bytes && cinfo.output_scanline < cinfo.output_height {
                // libjpeg hands out at most four rows a call; asking for one at a time would make it copy them.
                let mut rows = [std::ptr::null_mut(); 4];
                let mut count = 0;
                for (slot, row) in rows.iter_mut().zip(rest.chunks_exact_mut(row_bytes)) {
                    *slot = row.as_mut_ptr();
                    count += 1;
                }
                // SAFETY: `count` pointers to rows of `row_bytes` writable bytes.
                let read = unsafe { sys::jpeg_read_scanlines(cinfo, rows.as_mut_ptr(), count) };
                rest = &mut rest[read as usize * row_bytes..];
            }
        })
    }

    /// Whether an end-of-image marker is among the bytes that libjpeg has not looked at. Within a picture's data the
    /// pair `ff d9` can't occur otherwise: the coder puts a zero after each `ff`.
    pub(super) fn end_follows(&self) -> bool {
        // SAFETY: the source was set by `open`, and describes a part of `bytes`, which `self` borrows.
        let rest = unsafe {
            let src = &*self.cinfo().src;
            std::slice::from_raw_parts(src.next_input_byte, src.bytes_in_buffer)
        };
        // It is looked for from the end, where it nearly always is.
        !self.hit_end() && rest.windows(2).rev().any(|pair| pair == [0xff, 0xd9])
    }

    fn hit_end(&self) -> bool {
        // SAFETY: libjpeg is not running, see `cinfo`.
        unsafe { (*self.state.as_ptr()).hit_end }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // SAFETY: may be called at any stage, also after an error; frees the picture's memory and keeps the rest.
        unsafe { sys::jpeg_abort_decompress(&mut *addr_of_mut!((*self.state.as_ptr()).cinfo)) };
    }
}

/// Called by libjpeg for a fatal error; must not return.
#[cold]
extern "C-unwind" fn error_exit(common: &mut sys::jpeg_common_struct) {
    let code = message_code(common);
    let failure = match code {
        _ if ran_out(common) => Failure::Truncated,
        c if c == sys::JERR_BAD_PRECISION as c_int
            || c == sys::JERR_ARITH_NOTIMPL as c_int
            || c == sys::JERR_SOF_UNSUPPORTED as c_int
            || c == sys::JERR_CONVERSION_NOTIMPL as c_int
            || c == sys::JERR_NOT_COMPILED as c_int =>
        {
            Failure::Unsupported(message(common))
        }
        _ => Failure::Corrupt(message(common)),
    };
    resume_unwind(Box::new(failure));
}

/// Called by libjpeg for warnings (level -1) and traces.
///
/// A warning that means that the picture is not what the camera saw is an error here. Others are common in files of
/// cheap cameras (padding before a marker, an odd JFIF version) and say nothing about the picture.
extern "C-unwind" fn emit_message(common: &mut sys::jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return;
    }
    let code = message_code(common);
    if code == sys::JWRN_JPEG_EOF as c_int {
        // Not yet an error: libjpeg looks ahead, and the bits that it has may be all that it needs.
        // SAFETY: as in `ran_out`.
        unsafe { (*common.client_data.cast::<State>()).hit_end = true };
    } else if code == sys::JWRN_HIT_MARKER as c_int && ran_out(common) {
        resume_unwind(Box::new(Failure::Truncated));
    } else if code == sys::JWRN_HIT_MARKER as c_int
        || code == sys::JWRN_HUFF_BAD_CODE as c_int
        || code == sys::JWRN_MUST_RESYNC as c_int
    {
        resume_unwind(Box::new(Failure::Corrupt(message(common))));
    }
}

/// libjpeg's own writes to standard error.
extern "C-unwind" fn output_message(_common: &mut sys::jpeg_common_struct) {}

/// Called by libjpeg after each row of blocks.
extern "C-unwind" fn progress_monitor(common: &mut sys::jpeg_common_struct) {
    // SAFETY: `client_data` is the state whose `cinfo` begins with `common` (this is how libjpeg's callbacks are meant to
    // reach the rest of it); `max_scans` lies beside it.
    let (scan, max_scans) = unsafe {
        let max_scans = (*common.client_data.cast::<State>()).max_scans;
        let cinfo = std::ptr::from_mut(common).cast::<sys::jpeg_decompress_struct>();
        ((*cinfo).input_scan_number, max_scans)
    };
    if scan > max_scans {
        resume_unwind(Box::new(Failure::TooManyScans));
    }
}

/// Whether libjpeg has run out of bytes.
fn ran_out(common: &sys::jpeg_common_struct) -> bool {
    let state = common.client_data.cast::<State>();
    // SAFETY: null while the structure is being created, and then the state that holds `common`; the flag lies beside it.
    !state.is_null() && unsafe { (*state).hit_end }
}

fn message_code(common: &sys::jpeg_common_struct) -> c_int {
    // SAFETY: set in `new` to a structure that lives as long as `common`.
    unsafe { (*common.err).msg_code }
}

/// libjpeg's text for what it has just reported.
#[cold]
fn message(common: &mut sys::jpeg_common_struct) -> String {
    // JMSG_LENGTH_MAX is 200; the binding declares 80, and a shared reference to what C writes.
    type Format = unsafe extern "C-unwind" fn(*mut sys::jpeg_common_struct, *mut c_char);
    let mut text = [0 as c_char; 256];
    // SAFETY: `format_message` was set by `jpeg_std_error`; its true C signature is `Format`. It ends the text with a 0.
    unsafe {
        let Some(format) = (*common.err).format_message else { return String::new() };
        let format =
            std::mem::transmute::<unsafe extern "C-unwind" fn(&mut sys::jpeg_common_struct, &[u8; 80]), Format>(format);
        format(common, text.as_mut_ptr());
        let text = CStr::from_ptr(text.as_ptr()).to_string_lossy();
        // Our own error says this much already.
        text.strip_prefix("Corrupt JPEG data: ").unwrap_or(&text).to_owned()
    }
}
