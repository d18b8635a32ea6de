//! Backend of a layer: our framebuffer or plotters' SVG backend. It is chosen at run time, so that drawing code is not
//! generic.

use std::io;

use plotters::backend::SVGBackend;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::framebuffer::FramebufferBackend;

/// A backend for plotters.
pub(super) enum Backend<'a> {
    Framebuffer(FramebufferBackend<'a>),
    Svg(SVGBackend<'a>),
}

type Outcome = Result<(), DrawingErrorKind<io::Error>>;

/// Calls the same method of either backend.
macro_rules! delegate {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match $self {
            Self::Framebuffer(backend) => backend.$method($($arg),*),
            Self::Svg(backend) => backend.$method($($arg),*),
        }
    };
}

impl DrawingBackend for Backend<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        delegate!(self.get_size())
    }

    fn ensure_prepared(&mut self) -> Outcome {
        delegate!(self.ensure_prepared())
    }

    fn present(&mut self) -> Outcome {
        delegate!(self.present())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Outcome {
        delegate!(self.draw_pixel(point, color))
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome {
        delegate!(self.draw_line(from, to, style))
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Outcome {
        delegate!(self.draw_rect(a, b, style, fill))
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        delegate!(self.draw_path(path, style))
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Outcome {
        delegate!(self.draw_circle(center, radius, style, fill))
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        delegate!(self.fill_polygon(path, style))
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Outcome {
        delegate!(self.draw_text(text, style, at))
    }
}
