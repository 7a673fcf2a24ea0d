//! Our Huffman decoder against libjpeg's: the same pictures, and the same errors.

use mozjpeg::ColorSpaceExt as _;
use mozjpeg_sys as sys;

use super::super::samples::{Random, photo};
use super::*;

/// One decoder that uses ours, one that leaves all to libjpeg.
struct Pair {
    ours: Decoder,
    theirs: Decoder,
}

impl Pair {
    fn new() -> Self {
        let (ours, mut theirs) = (decoder(), decoder());
        theirs.libjpeg.probe().off = true;
        Self { ours, theirs }
    }

    /// Decodes with both, and returns the error if there is one.
    fn same(&mut self, bytes: &[u8], need: &Need, what: &str) -> Option<DecodeError> {
        match (self.ours.decode(bytes, need), self.theirs.decode(bytes, need)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(
                    (ours.width, ours.height, ours.origin),
                    (theirs.width, theirs.height, theirs.origin),
                    "{what}"
                );
                assert!(ours.rgb == theirs.rgb, "{what}: differs by {}", difference(&ours.rgb, &theirs.rgb));
                None
            }
            (Err(ours), Err(theirs)) => {
                assert_eq!(ours.to_string(), theirs.to_string(), "{what}");
                Some(ours)
            }
            (ours, theirs) => {
                panic!("{what}: {:?}, but libjpeg: {:?}", ours.map(|_| "decoded"), theirs.map(|_| "decoded"))
            }
        }
    }
}

/// How to encode what `Jpeg` can't.
#[derive(Clone, Copy, Debug)]
struct Coding {
    space: ColorSpace,
    sampling: (i32, i32),
    quality: i32,
    /// MCUs between restart markers; 0 for none.
    restart: u32,
    /// Tables made for this picture instead of the standard ones.
    own_tables: bool,
}

const PLAIN: Coding =
    Coding { space: ColorSpace::JCS_RGB, sampling: (2, 2), quality: 90, restart: 0, own_tables: false };

/// A noisy photograph, so that all coefficients occur.
fn noisy(width: u32, height: u32) -> Vec<u8> {
    let mut random = Random::new(7);
    let mut rgb = photo(width, height);
    for value in &mut rgb {
        *value = value.saturating_add(random.below(24) as u8);
    }
    rgb
}

fn encode_as(coding: Coding, width: u32, height: u32) -> Vec<u8> {
    let rgb = noisy(width, height);
    let channels = coding.space.num_components();
    let samples: Vec<u8> = match channels {
        1 => rgb.chunks_exact(3).map(|pixel| pixel[0]).collect(),
        3 => rgb,
        _ => rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
    };
    // SAFETY: as libjpeg's own example does it; `err` and `cinfo` outlive all calls, and the memory that libjpeg allocated
    // for its output is copied, then freed with malloc's partner.
    unsafe {
        let mut err = std::mem::zeroed();
        let mut cinfo: sys::jpeg_compress_struct = std::mem::zeroed();
        cinfo.common.err = sys::jpeg_std_error(&mut err);
        sys::jpeg_create_compress(&mut cinfo);
        let (mut out, mut length) = (std::ptr::null_mut(), 0);
        sys::jpeg_mem_dest(&mut cinfo, &mut out, &mut length);
        (cinfo.image_width, cinfo.image_height) = (width, height);
        cinfo.input_components = channels as i32;
        cinfo.in_color_space = coding.space;
        sys::jpeg_c_set_int_param(
            &mut cinfo,
            sys::J_INT_PARAM::JINT_COMPRESS_PROFILE,
            sys::JINT_COMPRESS_PROFILE_VALUE::JCP_FASTEST as i32,
        );
        sys::jpeg_set_defaults(&mut cinfo);
        sys::jpeg_set_quality(&mut cinfo, coding.quality, 1);
        cinfo.optimize_coding = i32::from(coding.own_tables);
        cinfo.restart_interval = coding.restart;
        if channels == 3 {
            let first = &mut *cinfo.comp_info;
            (first.h_samp_factor, first.v_samp_factor) = coding.sampling;
        }
        sys::jpeg_start_compress(&mut cinfo, 1);
        for row in samples.chunks_exact(width as usize * channels) {
            assert_eq!(sys::jpeg_write_scanlines(&mut cinfo, &row.as_ptr(), 1), 1);
        }
        sys::jpeg_finish_compress(&mut cinfo);
        let bytes = std::slice::from_raw_parts(out, length as usize).to_vec();
        sys::jpeg_destroy_compress(&mut cinfo);
        free(out);
        bytes
    }
}

unsafe fn free(memory: *mut u8) {
    unsafe extern "C" {
        #[link_name = "free"]
        fn c_free(memory: *mut std::ffi::c_void);
    }
    // SAFETY: for the caller.
    unsafe { c_free(memory.cast()) }
}

fn codings() -> Vec<Coding> {
    let mut codings = vec![
        PLAIN,
        Coding { sampling: (1, 1), ..PLAIN },
        Coding { sampling: (2, 1), quality: 30, ..PLAIN },
        Coding { sampling: (1, 2), quality: 100, ..PLAIN },
        Coding { sampling: (4, 1), ..PLAIN },
        Coding { quality: 5, ..PLAIN },
        Coding { space: ColorSpace::JCS_GRAYSCALE, ..PLAIN },
        Coding { space: ColorSpace::JCS_CMYK, ..PLAIN },
        Coding { restart: 1, ..PLAIN },
        Coding { restart: 5, ..PLAIN },
        Coding { restart: 12, ..PLAIN },
    ];
    codings.extend(codings.clone().into_iter().map(|coding| Coding { own_tables: true, ..coding }));
    codings
}

fn needs() -> [Need; 5] {
    let middle = Some((0.5, 0.6));
    [
        Need::EVERYTHING,
        Need { middle, ..Need::EVERYTHING },
        Need { crop: None, short_side: 60, middle },
        Need { crop: None, short_side: 30, middle },
        Need { crop: None, short_side: 15, middle: None },
    ]
}

#[test]
fn gives_the_pictures_that_libjpeg_gives() {
    let mut pair = Pair::new();
    for coding in codings() {
        for (width, height) in [(192, 130), (7, 9), (131, 121)] {
            let bytes = encode_as(coding, width, height);
            for need in needs() {
                let what = format!("{coding:?} {width}x{height} {need:?}");
                assert!(pair.same(&bytes, &need, &what).is_none(), "{what}: a good picture decodes");
            }
        }
    }
}

/// Restart markers decide which MCUs are left to libjpeg, and with that must not decide what is kept of them.
#[test]
fn a_reduced_picture_does_not_depend_on_restart_markers() {
    let mut decoder = decoder();
    for need in needs() {
        let mut pictures = [0, 1, 5].map(|restart| {
            let bytes = encode_as(Coding { restart, ..PLAIN }, 192, 130);
            decoder.decode(&bytes, &need).expect("decodes").clone()
        });
        let (first, others) = pictures.split_first_mut().expect("three");
        for other in others {
            assert!(other.rgb == first.rgb, "{need:?}: differs by {}", difference(&other.rgb, &first.rgb));
        }
    }
}

#[test]
fn decodes_all_but_the_last_of_a_picture() {
    for (coding, most_left) in [(PLAIN, 2), (Coding { restart: 24, ..PLAIN }, 4 * 24)] {
        let bytes = encode_as(coding, 384, 384);
        let mut decoder = decoder();
        decoder.decode(&bytes, &Need::EVERYTHING).expect("decodes");
        let probe = *decoder.libjpeg.probe();
        assert_eq!(probe.decoded + probe.left, 24 * 24);
        assert!(probe.left <= most_left, "{coding:?}: {} were left to libjpeg", probe.left);
    }
}

#[test]
fn judges_cut_files_as_libjpeg_does() {
    let mut pair = Pair::new();
    for coding in [PLAIN, Coding { restart: 5, ..PLAIN }, Coding { own_tables: true, ..PLAIN }] {
        let bytes = encode_as(coding, 131, 121);
        for length in (0..bytes.len()).step_by(11).chain(bytes.len() - 40..bytes.len()) {
            for need in [Need::EVERYTHING, Need { crop: None, short_side: 60, middle: Some((0.5, 0.6)) }] {
                pair.same(&bytes[..length], &need, &format!("{coding:?} cut to {length}"));
            }
        }
    }
}

#[test]
fn judges_damaged_files_as_libjpeg_does() {
    let (mut pair, mut random) = (Pair::new(), Random::new(3));
    let (mut decoded, mut refused) = (0, 0);
    for coding in [PLAIN, Coding { restart: 7, ..PLAIN }, Coding { own_tables: true, quality: 40, ..PLAIN }] {
        let bytes = encode_as(coding, 131, 121);
        for attempt in 0..400 {
            let mut damaged = bytes.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(damaged.len() as u32) as usize;
                damaged[at] = random.below(256) as u8;
            }
            let need = needs()[attempt % 5];
            match pair.same(&damaged, &need, &format!("{coding:?} damaged, attempt {attempt}")) {
                None => decoded += 1,
                Some(_) => refused += 1,
            }
        }
    }
    assert!(decoded > 100 && refused > 100, "{decoded} were decoded, {refused} refused");
}
