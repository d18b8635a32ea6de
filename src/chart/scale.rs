//! Display scale.

/// Pixels of the screen per pixel of the layout, on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// 1.
    #[default]
    One,
    /// 1.5.
    OneAndHalf,
    /// 2.
    Two,
}

impl Scale {
    /// Pixels of the screen per two pixels of the layout.
    pub const fn halves(self) -> u32 {
        match self {
            Self::One => 2,
            Self::OneAndHalf => 3,
            Self::Two => 4,
        }
    }

    /// Nearest scale to a display's factor.
    pub fn nearest(factor: f64) -> Self {
        if factor < 1.25 {
            Self::One
        } else if factor < 1.75 {
            Self::OneAndHalf
        } else {
            Self::Two
        }
    }

    /// Pixels of the screen per pixel of the layout.
    pub fn factor(self) -> f64 {
        f64::from(self.halves()) / 2.0
    }
}
