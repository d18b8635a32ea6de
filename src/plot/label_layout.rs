//! Layout of labels on an axis without overlaps.

/// Moves labels of `height` so that they do not overlap and stay in `[top, bottom]`, each as near as possible to its
/// wanted row (of its middle). Returns the middles; `None` for labels without room, which are the last ones given. Of
/// labels that want the same row, the earlier one is above.
///
/// Isotonic regression by the pool-adjacent-violators algorithm (Barlow et al., "Statistical Inference under Order
/// Restrictions", 1972): sorted labels that collide form a block at the mean of its members' wanted positions;
/// colliding blocks merge.
pub(super) fn spread_labels(wanted: &[f64], height: f64, top: f64, bottom: f64) -> Vec<Option<f64>> {
    let mut middles = vec![None; wanted.len()];
    if !(height > 0.0 && bottom - top >= height) {
        return middles;
    }
    let room = ((bottom - top) / height).floor() as usize;
    let clamped = |wanted: f64| if wanted.is_nan() { bottom } else { wanted.clamp(top, bottom) };
    let mut order: Vec<usize> = (0..wanted.len().min(room)).collect();
    order.sort_by(|&a, &b| clamped(wanted[a]).total_cmp(&clamped(wanted[b])).then(a.cmp(&b)));

    // Per block: number of labels, and sum of the positions of its first label that would put each member at its wanted
    // position.
    let mut blocks: Vec<(usize, f64)> = Vec::with_capacity(order.len());
    let place = |(count, sum): (usize, f64)| (sum / count as f64).min(bottom - count as f64 * height).max(top);
    for &i in &order {
        let mut block = (1, clamped(wanted[i]) - height / 2.0);
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
            wanted in prop::collection::vec(-500.0_f64..1_500.0, 0..80),
            height in 1.0_f64..40.0,
            top in -50.0_f64..100.0,
            length in 0.0_f64..900.0,
        ) {
            let middles = spread_labels(&wanted, height, top, top + length);
            let mut placed: Vec<f64> = middles.iter().flatten().copied().collect();
            prop_assert_eq!(placed.len(), wanted.len().min((length / height).floor() as usize));
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
            let wanted = [start, start + 100.0, start + 50.0];
            prop_assert_eq!(spread_labels(&wanted, 20.0, 0.0, 300.0), wanted.map(Some).to_vec());
        }
    }

    #[test]
    fn colliding_boxes_share_the_push() {
        assert_eq!(spread_labels(&[100.0, 100.0], 20.0, 0.0, 300.0), [Some(90.0), Some(110.0)]);
        assert_eq!(spread_labels(&[f64::NAN, -1e300, 1e300], 20.0, 0.0, 300.0), [Some(270.0), Some(10.0), Some(290.0)]);
    }
}
