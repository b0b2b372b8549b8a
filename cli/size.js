/** A number of bytes in words, as src/lua_print.c writes it: for the command and for its page. */

const units = ["bytes", "KB", "MB", "GB"];

/** As C rounds it: a tie goes to the even digit. @param {number} value @param {number} digits */
function fixed(value, digits) {
  const exact = value.toFixed(60), end = exact.length - 60 + digits - (digits === 0 ? 1 : 0);
  if (!/^\.?50*$/.test(exact.slice(end))) return value.toFixed(digits);
  const lower = exact.slice(0, end);
  return "02468".includes(lower[lower.length - 1]) ? lower : value.toFixed(digits);
}

/** @param {number} bytes @returns {{ number: string, unit: string }} */
export function sizeParts(bytes) {
  let unit = 0;
  for (; bytes >= (unit ? 1023.995 : 1023.5) && unit < 3; unit++) bytes /= 1024;
  return { number: fixed(bytes, unit === 0 ? 0 : 2), unit: units[unit] };
}
