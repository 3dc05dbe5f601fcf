/** The little of SVG that the charts need. Text is escaped; colours are classes, so that light and dark are CSS's affair. */

/** @param {unknown} text */
export const escaped = (text) => String(text).replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);

/** @param {string} tag @param {Readonly<Record<string, string | number | undefined>>} attributes @param {readonly string[]} children */
export function element(tag, attributes, ...children) {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${typeof value === "number" ? Math.round(value * 100) / 100 : escaped(value)}"`);
  return children.length === 0
    ? `<${tag}${written.join("")}/>`
    : `<${tag}${written.join("")}>${children.join("")}</${tag}>`;
}

/** @param {number} x @param {number} y @param {string} text @param {Readonly<Record<string, string | number>>} [attributes] */
export const label = (x, y, text, attributes = {}) => element("text", { x, y, ...attributes }, escaped(text));

/** Where a value stands on a logarithmic axis. @param {number} from @param {number} to @param {number} start @param {number} end */
export function logScale(from, to, start, end) {
  const span = Math.log(to) - Math.log(from);
  return (/** @type {number} */ value) => start + ((Math.log(value) - Math.log(from)) / span) * (end - start);
}

/** @param {number} from @param {number} to @param {number} start @param {number} end */
export function linearScale(from, to, start, end) {
  return (/** @type {number} */ value) => start + ((value - from) / (to - from)) * (end - start);
}
