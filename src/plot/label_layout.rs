//! Boxes on an axis, pushed apart so that none overlaps another.

/// Moves boxes of `height` so that they do not overlap and stay in `[top, bottom]`, each as near to its wish (the row
/// of its middle) as the others let it. Returns the middles; `None` for boxes that there was no room for, the last
/// ones given. Where wishes coincide, the earlier box stands above.
///
/// The method is isotonic regression by pooling adjacent violators: sorted boxes that collide form a block, which
/// stands where the mean of its members' wishes has it; blocks that collide merge.
pub(super) fn spread(wishes: &[f64], height: f64, top: f64, bottom: f64) -> Vec<Option<f64>> {
    let mut middles = vec![None; wishes.len()];
    if !(height > 0.0 && bottom - top >= height) {
        return middles;
    }
    let room = ((bottom - top) / height).floor() as usize;
    let clamped = |wish: f64| if wish.is_nan() { bottom } else { wish.clamp(top, bottom) };
    let mut order: Vec<usize> = (0..wishes.len().min(room)).collect();
    order.sort_by(|&a, &b| clamped(wishes[a]).total_cmp(&clamped(wishes[b])).then(a.cmp(&b)));

    // Of each block: how many boxes, and the sum of where its first box's top would have to be for each of them.
    let mut blocks: Vec<(usize, f64)> = Vec::with_capacity(order.len());
    let place = |(count, sum): (usize, f64)| (sum / count as f64).min(bottom - count as f64 * height).max(top);
    for &i in &order {
        let mut block = (1, clamped(wishes[i]) - height / 2.0);
        while let Some(&above) = blocks.last() {
            if place(above) + above.0 as f64 * height <= place(block) {
                break;
            }
            let shifted = block.1 - (block.0 * above.0) as f64 * height;
            block = (above.0 + block.0, above.1 + shifted);
            blocks.pop();
        }
        blocks.push(block);
    }
    let mut sorted = order.iter();
    for block in blocks {
        let first = place(block) + height / 2.0;
        for (k, &i) in sorted.by_ref().take(block.0).enumerate() {
            middles[i] = Some(first + k as f64 * height);
        }
    }
    middles
}

#[cfg(test)]
mod tests {
    use crate::plot::label_layout::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boxes_never_overlap_and_stay_inside(
            wishes in prop::collection::vec(-500.0_f64..1_500.0, 0..80),
            height in 1.0_f64..40.0,
            top in -50.0_f64..100.0,
            length in 0.0_f64..900.0,
        ) {
            let middles = spread(&wishes, height, top, top + length);
            let mut placed: Vec<f64> = middles.iter().flatten().copied().collect();
            prop_assert_eq!(placed.len(), wishes.len().min((length / height).floor() as usize));
            placed.sort_by(f64::total_cmp);
            for pair in placed.windows(2) {
                prop_assert!(pair[1] - pair[0] >= height - 1e-6, "{:?}", pair);
            }
            for middle in placed {
                prop_assert!(middle - height / 2.0 >= top - 1e-6 && middle + height / 2.0 <= top + length + 1e-6);
            }
        }

        #[test]
        fn boxes_that_have_room_do_not_move(start in 20.0_f64..40.0) {
            let wishes = [start, start + 100.0, start + 50.0];
            prop_assert_eq!(spread(&wishes, 20.0, 0.0, 300.0), wishes.map(Some).to_vec());
        }
    }

    #[test]
    fn colliding_boxes_share_the_push() {
        assert_eq!(spread(&[100.0, 100.0], 20.0, 0.0, 300.0), [Some(90.0), Some(110.0)]);
        assert_eq!(spread(&[f64::NAN, -1e300, 1e300], 20.0, 0.0, 300.0), [Some(270.0), Some(10.0), Some(290.0)]);
    }
}
