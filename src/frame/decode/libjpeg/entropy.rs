//! Takes the place of libjpeg's Huffman decoder for the common kind of file: baseline, one scan.
//!
//! libjpeg calls its entropy decoder through a pointer, once for each MCU (the smallest unit with all components, two by
//! two blocks of brightness and two of colour for most cameras). [`decode_mcu`] is put in its place, and works on libjpeg's own state:
//! where it finds anything out of the ordinary (a marker, the end of the data, a code that is none), it leaves that state as it was and
//! calls libjpeg's. So files that are cut or damaged are judged by libjpeg alone.
//!
//! It is faster because it looks up more at once, and because it knows which columns will be looked at, and which coefficients
//! matter at a reduced scale: the others are zeroes here, also where libjpeg decoded them, so that a picture does not depend on
//! where its restart markers are. A progressive file, which libjpeg decodes alone, keeps all of them at any scale.

use std::ffi::{c_int, c_uint};
use std::mem::{offset_of, size_of};

use mozjpeg_sys as sys;

use super::State;
use crate::frame::decode::huffman::{AcCodes, Bits, Codes, Kept, Stated};

type DecodeMcu = unsafe extern "C-unwind" fn(*mut sys::jpeg_decompress_struct, *mut sys::JBLOCKROW) -> sys::boolean;

/// What replaces libjpeg's decoder for one scan; tables are kept from file to file, for a camera's are always the same.
pub(super) struct Entropy {
    dc: [Codes; 2],
    ac: [AcCodes; 2],
    /// libjpeg's own.
    original: Option<DecodeMcu>,
    /// By their place in the MCU.
    blocks: [Block; MAX_BLOCKS],
    /// The address of the next byte that may be ff: those before it that were not read yet are not. 0 if that is not known.
    ff: usize,
    columns: u32,
    column: u32,
    #[cfg(test)]
    pub(super) probe: Probe,
}

/// Lets tests compare with libjpeg's own decoder, and see which one was at work.
#[cfg(test)]
#[derive(Clone, Copy, Default)]
pub(in crate::frame::decode) struct Probe {
    /// Leave every MCU to libjpeg.
    pub(in crate::frame::decode) off: bool,
    /// MCUs that were decoded here, and those that were left to libjpeg.
    pub(in crate::frame::decode) decoded: usize,
    pub(in crate::frame::decode) left: usize,
}

/// What one block of an MCU needs.
#[derive(Clone, Copy)]
struct Block {
    component: usize,
    dc: usize,
    ac: usize,
    /// Which of its coefficients are needed.
    kept: &'static Kept,
}

impl Default for Block {
    fn default() -> Self {
        Self { component: 0, dc: 0, ac: 0, kept: &Kept::NONE }
    }
}

const MAX_BLOCKS: usize = 10;

impl Entropy {
    pub(super) fn new() -> Self {
        Self {
            dc: [Codes::new(), Codes::new()],
            ac: [AcCodes::new(), AcCodes::new()],
            original: None,
            blocks: [Block::default(); MAX_BLOCKS],
            ff: 0,
            columns: 0,
            column: 0,
            #[cfg(test)]
            probe: Probe::default(),
        }
    }
}

/// Replaces the decoder of a scan that is about to be read, if it is of the kind that is understood here.
///
/// # Safety
/// `state` must be that of a decompressor that was started by `jpeg_start_decompress`, is not running, and has
/// not yet read of its only scan.
pub(super) unsafe fn replace(state: *mut State) {
    // SAFETY: by this function's contract libjpeg has filled in all that is read here: the tables and components of the scan
    // were checked by its own decoder's start, and `entropy` is that decoder's `huff_entropy_decoder`, since the file
    // is neither progressive nor arithmetic.
    unsafe {
        let entropy = &mut (*state).entropy;
        let internals = Internals::of(&raw const (*state).cinfo);
        (entropy.original, entropy.ff) = (None, 0);
        if cfg!(not(target_pointer_width = "64")) || (*internals).progressive_mode != 0 || (*internals).arith_code != 0
        {
            return;
        }
        let count = (*internals).blocks_in_MCU as usize;
        for (block, component) in entropy.blocks.iter_mut().zip((*internals).MCU_membership).take(count) {
            let info = (*internals).cur_comp_info[component as usize].cast::<ComponentInfo>();
            let (dc, ac) = ((*info).dc_tbl_no as usize, (*info).ac_tbl_no as usize);
            // Baseline has two of each. More are for libjpeg.
            let (Some(dc_codes), Some(ac_codes)) = (entropy.dc.get_mut(dc), entropy.ac.get_mut(ac)) else { return };
            let (dc_table, ac_table) = ((*internals).dc_huff_tbl_ptrs[dc], (*internals).ac_huff_tbl_ptrs[ac]);
            dc_codes.set(Stated { counts: &(*dc_table).bits, symbols: &(*dc_table).huffval });
            ac_codes.set(Stated { counts: &(*ac_table).bits, symbols: &(*ac_table).huffval });
            let kept = match (*info).DCT_scaled_size {
                _ if (*info).component_needed == 0 => &Kept::NONE,
                1 => &Kept::NONE,
                2 => &Kept::TWO,
                4 => &Kept::FOUR,
                _ => &Kept::ALL,
            };
            *block = Block { component: component as usize, dc, ac, kept };
        }
        (entropy.column, entropy.columns) = (0, (*internals).MCUs_per_row);
        let decoder = &mut (*(*internals).entropy).public;
        entropy.original = Some(decoder.decode_mcu);
        decoder.decode_mcu = decode_mcu;
    }
}

/// Called by libjpeg for each MCU, with a zeroed block for each of its blocks, or null if none is needed.
unsafe extern "C-unwind" fn decode_mcu(
    cinfo: *mut sys::jpeg_decompress_struct,
    blocks: *mut sys::JBLOCKROW,
) -> sys::boolean {
    // SAFETY: libjpeg calls this with the structure whose decoder it was made by `replace`; its `client_data` is the state
    // beside it. Nobody else looks at `entropy` while libjpeg runs.
    unsafe {
        let state = (*cinfo).common.client_data.cast::<State>();
        let entropy = &mut (*state).entropy;
        let internals = Internals::of(cinfo);
        let master = (*internals).master;
        let column = entropy.column;
        entropy.column = if column + 1 == entropy.columns { 0 } else { column + 1 };
        let shown = !blocks.is_null() && ((*master).first_iMCU_col..=(*master).last_iMCU_col).contains(&column);
        let blocks = if shown { blocks } else { std::ptr::null_mut() };
        #[cfg(test)]
        let decoded = !entropy.probe.off && entropy.decode(cinfo, internals, blocks).is_some();
        #[cfg(not(test))]
        let decoded = entropy.decode(cinfo, internals, blocks).is_some();
        #[cfg(test)]
        if decoded {
            entropy.probe.decoded += 1;
        } else {
            entropy.probe.left += 1;
        }
        if decoded {
            return 1;
        }
        // Where libjpeg goes on from is for it to say.
        entropy.ff = 0;
        // Set by `replace`, before this was.
        let decoded = entropy.original.map_or(0, |original| original(cinfo, blocks));
        if decoded != 0 && !blocks.is_null() {
            // A picture does not depend on who decodes which part of it.
            for (index, block) in entropy.blocks.iter().take((*internals).blocks_in_MCU as usize).enumerate() {
                block.kept.retain(&mut **blocks.add(index));
            }
        }
        decoded
    }
}

impl Entropy {
    /// Decodes an MCU, and changes libjpeg's state only if that succeeds.
    ///
    /// # Safety
    /// As for [`decode_mcu`].
    #[inline(always)]
    unsafe fn decode(
        &mut self,
        cinfo: *mut sys::jpeg_decompress_struct,
        internals: *const Internals,
        blocks: *mut sys::JBLOCKROW,
    ) -> Option<()> {
        // SAFETY: `decoder` and `src` are libjpeg's, which waits for this call; the source's bytes are those that `Open`
        // borrows; `blocks` are as many as the MCU has, zeroed.
        unsafe {
            let decoder = (*internals).entropy;
            let src = (*cinfo).src;
            let restarts = (*internals).restart_interval != 0;
            if (*decoder).public.insufficient_data != 0
                || (*internals).unread_marker != 0
                || (restarts && (*decoder).restarts_to_go == 0)
            {
                return None;
            }
            let bytes = std::slice::from_raw_parts((*src).next_input_byte, (*src).bytes_in_buffer);
            let clean = self.ff.saturating_sub(bytes.as_ptr().addr());
            let mut bits = Bits::new(bytes, (*decoder).bits.get_buffer as u64, (*decoder).bits.bits_left as u32, clean);
            let mut last = (*decoder).last_dc_val;
            for (index, block) in self.blocks.iter().take((*internals).blocks_in_MCU as usize).enumerate() {
                let difference = bits.dc(self.dc.get(block.dc)?)?;
                let value = last.get_mut(block.component)?;
                *value = value.wrapping_add(difference);
                let codes = self.ac.get(block.ac)?;
                if blocks.is_null() {
                    bits.skip_ac(codes)?;
                    continue;
                }
                let coefficients = &mut **blocks.add(index);
                coefficients[0] = *value as i16;
                bits.ac(codes, block.kept, coefficients)?;
            }
            let (taken, buffer, left, clean) = bits.end();
            (*src).next_input_byte = (*src).next_input_byte.add(taken);
            (*src).bytes_in_buffer -= taken;
            self.ff = (*src).next_input_byte.addr() + clean;
            (*decoder).bits.get_buffer = buffer as usize;
            (*decoder).bits.bits_left = left as c_int;
            (*decoder).last_dc_val = last;
            (*decoder).restarts_to_go -= c_uint::from(restarts);
            Some(())
        }
    }
}

// The rest describes what libjpeg declares in `jpeglib.h`, `jpegint.h` and `jdhuff.c`. The binding has the first with most
// fields private; that ours lies over it is checked by the compiler as far as it can, and by a test that compares pictures.

/// The end of `jpeg_decompress_struct`, from [`sys::jpeg_decompress_struct::quant_tbl_ptrs`] on.
#[repr(C)]
#[expect(non_snake_case, reason = "libjpeg's names")]
struct Internals {
    quant_tbl_ptrs: [*mut sys::JQUANT_TBL; 4],
    dc_huff_tbl_ptrs: [*mut sys::JHUFF_TBL; 4],
    ac_huff_tbl_ptrs: [*mut sys::JHUFF_TBL; 4],
    data_precision: c_int,
    comp_info: *mut sys::jpeg_component_info,
    progressive_mode: sys::boolean,
    arith_code: sys::boolean,
    arith_tables: [[u8; 16]; 3],
    restart_interval: c_uint,
    saw_JFIF_marker: sys::boolean,
    JFIF_version: [u8; 2],
    density_unit: u8,
    density: [u16; 2],
    saw_Adobe_marker: sys::boolean,
    Adobe_transform: u8,
    CCIR601_sampling: sys::boolean,
    marker_list: *mut sys::jpeg_marker_struct,
    max_h_samp_factor: c_int,
    max_v_samp_factor: c_int,
    min_DCT_scaled_size: c_int,
    total_iMCU_rows: c_uint,
    sample_range_limit: *mut u8,
    comps_in_scan: c_int,
    cur_comp_info: [*mut sys::jpeg_component_info; 4],
    MCUs_per_row: c_uint,
    MCU_rows_in_scan: c_uint,
    blocks_in_MCU: c_int,
    MCU_membership: [c_int; MAX_BLOCKS],
    scan_limits: [c_int; 4],
    unread_marker: c_int,
    master: *mut Master,
    modules_before: [*mut std::ffi::c_void; 5],
    entropy: *mut HuffmanDecoder,
    modules_after: [*mut std::ffi::c_void; 4],
}

const START: usize = offset_of!(sys::jpeg_decompress_struct, quant_tbl_ptrs);
const _: () = {
    assert!(START + size_of::<Internals>() == size_of::<sys::jpeg_decompress_struct>());
    assert!(START + offset_of!(Internals, comp_info) == offset_of!(sys::jpeg_decompress_struct, comp_info));
    assert!(START + offset_of!(Internals, density_unit) == offset_of!(sys::jpeg_decompress_struct, density_unit));
    assert!(START + offset_of!(Internals, density) == offset_of!(sys::jpeg_decompress_struct, X_density));
    assert!(START + offset_of!(Internals, marker_list) == offset_of!(sys::jpeg_decompress_struct, marker_list));
    assert!(
        START + offset_of!(Internals, max_v_samp_factor) == offset_of!(sys::jpeg_decompress_struct, max_v_samp_factor)
    );
    assert!(size_of::<ComponentInfo>() == size_of::<sys::jpeg_component_info>());
    assert!(offset_of!(ComponentInfo, ac_tbl_no) == offset_of!(sys::jpeg_component_info, ac_tbl_no));
    assert!(offset_of!(ComponentInfo, quant_table) == offset_of!(sys::jpeg_component_info, quant_table));
};

impl Internals {
    fn of(cinfo: *const sys::jpeg_decompress_struct) -> *const Self {
        cinfo.wrapping_byte_add(START).cast()
    }
}

/// All of `jpeg_component_info`.
#[repr(C)]
#[expect(non_snake_case, reason = "libjpeg's names")]
struct ComponentInfo {
    identity: [c_int; 5],
    dc_tbl_no: c_int,
    ac_tbl_no: c_int,
    size_in_blocks: [c_uint; 2],
    DCT_scaled_size: c_int,
    downsampled_size: [c_uint; 2],
    component_needed: sys::boolean,
    in_mcu: [c_int; 6],
    quant_table: *mut sys::JQUANT_TBL,
    dct_table: *mut std::ffi::c_void,
}

/// The beginning of `jpeg_decomp_master`.
#[repr(C)]
#[expect(non_snake_case, reason = "libjpeg's names")]
struct Master {
    passes: [Option<unsafe extern "C-unwind" fn(*mut sys::jpeg_decompress_struct)>; 2],
    is_dummy_pass: sys::boolean,
    first_iMCU_col: c_uint,
    last_iMCU_col: c_uint,
}

/// `jpeg_entropy_decoder`.
#[repr(C)]
struct PublicDecoder {
    start_pass: unsafe extern "C-unwind" fn(*mut sys::jpeg_decompress_struct),
    decode_mcu: DecodeMcu,
    insufficient_data: sys::boolean,
}

/// `bitread_perm_state`, on a machine of 64 bits.
#[repr(C)]
struct BitState {
    get_buffer: usize,
    bits_left: c_int,
}

/// The beginning of `huff_entropy_decoder`: `bitstate`, `saved`, and the count of MCUs up to the next restart marker.
#[repr(C)]
struct HuffmanDecoder {
    public: PublicDecoder,
    bits: BitState,
    last_dc_val: [c_int; 4],
    restarts_to_go: c_uint,
}
