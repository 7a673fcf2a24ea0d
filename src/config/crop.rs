//! The part of a frame that a source looks at.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::value::Value;

/// The least width or height, so that it is not zero for any frame after rounding.
const MIN_LENGTH: f64 = 0.001;

/// A rectangle in a frame, as fractions of its width and height. It lies inside the frame (but for
/// rounding: `x + w` may exceed 1 by a millionth), and is not empty. In JSON it is `[x, y, w, h]`, as in the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// The left edge, 0 to 1.
    pub x: f32,
    /// The top edge, 0 to 1.
    pub y: f32,
    /// The width, 0.001 to 1.
    pub w: f32,
    /// The height, 0.001 to 1.
    pub h: f32,
}

impl Crop {
    /// Reads `[x, y, w, h]`; the whole frame is `None`. An error if it is anything else than a part of the frame.
    pub(super) fn parse(items: &[Value]) -> Result<Option<Self>, ()> {
        let [x, y, w, h] = items else { return Err(()) };
        Self::checked([number(x)?, number(y)?, number(w)?, number(h)?])
    }

    fn checked([x, y, w, h]: [f64; 4]) -> Result<Option<Self>, ()> {
        // A millionth of the frame is forgiven: decimal fractions that add up to 1 may add up to a hair more in binary.
        let inside = |start: f64, length: f64| {
            (0.0..=1.0).contains(&start) && (MIN_LENGTH..=1.0).contains(&length) && start + length <= 1.0 + 1e-6
        };
        if !inside(x, w) || !inside(y, h) {
            return Err(());
        }
        // Nothing inside the frame is wider than 1, so this is the whole of it (but for the millionth).
        if w >= 1.0 && h >= 1.0 {
            return Ok(None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "fractions between 0 and 1 need no more than f32")]
        Ok(Some(Self { x: x as f32, y: y as f32, w: w as f32, h: h as f32 }))
    }
}

impl Serialize for Crop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.x, self.y, self.w, self.h].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Crop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of f32, so that what was written comes back to the bit.
        let numbers = <[f32; 4]>::deserialize(deserializer)?.map(f64::from);
        let crop = Self::checked(numbers).ok().flatten();
        crop.ok_or_else(|| de::Error::custom("a crop is [x, y, w, h], a part of the frame in fractions of it"))
    }
}

fn number(value: &Value) -> Result<f64, ()> {
    match value.clone().fit(&Value::Float(0.0)) {
        Ok(Value::Float(number)) => Ok(number),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_lies_inside_the_frame() {
        let parse = |items: &[f64]| Crop::parse(&items.iter().copied().map(Value::Float).collect::<Vec<_>>());
        let corner = Crop { x: 0.0, y: 0.5, w: 0.5, h: 0.5 };
        assert_eq!(parse(&[0.0, 0.5, 0.5, 0.5]), Ok(Some(corner)));
        assert_eq!(parse(&[0.0, 0.0, 1.0, 1.0]), Ok(None));
        assert_eq!(Crop::parse(&[0, 0, 1, 1].map(Value::Integer)), Ok(None));
        for thousandths in 1..1000 {
            let x = f64::from(thousandths) / 1000.0;
            assert!(parse(&[x, 0.0, 1.0 - x, 1.0]).is_ok(), "{x}");
        }
        for bad in [
            &[0.0, 0.0, 1.0][..],
            &[0.0, 0.0, 1.0, 1.0, 1.0],
            &[0.5, 0.0, 0.6, 1.0],
            &[0.0, -0.1, 1.0, 1.0],
            &[0.0, 0.0, 0.0, 1.0],
            &[0.0, 0.0, 1e-40, 1.0],
            &[0.0, 0.0, f64::NAN, 1.0],
            &[0.0, 0.0, 1.0, f64::INFINITY],
        ] {
            assert_eq!(parse(bad), Err(()), "{bad:?}");
        }
        let thirds = Crop { x: 1.0 / 3.0, y: 0.1, w: 2.0 / 3.0, h: 0.9 };
        for crop in [corner, thirds] {
            let json = serde_json::to_string(&crop).unwrap();
            assert_eq!(serde_json::from_str::<Crop>(&json).unwrap(), crop, "{json}");
        }
        for bad in ["[0.5,0,0.6,1]", "[0,0,1,1]", "[0,0,1e39,1]", "[0,0,1]", "null"] {
            assert!(serde_json::from_str::<Crop>(bad).is_err(), "{bad}");
        }
        let text = Value::String("0".into());
        assert_eq!(Crop::parse(&[text.clone(), text.clone(), text.clone(), text]), Err(()));
    }
}
