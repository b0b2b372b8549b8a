/** Medians, and how far they can be trusted. */

/** @param {number[]} values */
const sorted = (values) => [...values].sort((a, b) => a - b);

/** @param {number[]} values @param {number} share 0 to 1 */
export function quantile(values, share) {
  const ordered = sorted(values);
  const place = (ordered.length - 1) * share;
  const low = Math.floor(place);
  const above = ordered[Math.min(low + 1, ordered.length - 1)];
  return ordered[low] + (above - ordered[low]) * (place - low);
}

/** @param {number[]} values */
export const median = (values) => quantile(values, 0.5);

/**
 * Where the true median lies with 95 % confidence, from the order of the values alone.
 * @param {number[]} values
 * @returns {[number, number]}
 */
export function medianInterval(values) {
  const ordered = sorted(values);
  const reach = 0.98 * Math.sqrt(ordered.length);
  const low = Math.max(0, Math.floor(ordered.length / 2 - reach));
  const high = Math.min(ordered.length - 1, Math.ceil(ordered.length / 2 + reach) - 1);
  return [ordered[low], ordered[high]];
}

/** @param {number[]} values @param {number[]} others taken in the same rounds */
export const pairedRatios = (values, others) => values.map((value, round) => value / others[round]);
