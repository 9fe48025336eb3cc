/** Small SVG pictures for results that say more as a picture. */

const WIDTH = 720;
const HEIGHT = 240;
const EDGE = 48;
const FONT = 'font-family="sans-serif" font-size="12"';

/** One line from left to right; the axis of values begins at 0. */
export function curveSvg(title: string, points: readonly (readonly [x: number, y: number])[]): string {
  const maxX = Math.max(...points.map(([x]) => x));
  const maxY = Math.max(...points.map(([, y]) => y)) * 1.1;
  const x = (value: number) => EDGE + (value / maxX) * (WIDTH - 2 * EDGE);
  const y = (value: number) => HEIGHT - EDGE - (value / maxY) * (HEIGHT - 2 * EDGE);
  const line = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ');
  return svg(title, HEIGHT, [
    `<text x="${EDGE}" y="20" ${FONT}>${title}</text>`,
    `<path d="M${EDGE} ${EDGE / 2}V${HEIGHT - EDGE}H${WIDTH - EDGE / 2}" fill="none" stroke="#888"/>`,
    `<text x="4" y="${y(maxY / 1.1) + 4}" ${FONT}>${short(maxY / 1.1)}</text>`,
    `<text x="4" y="${y(0) + 4}" ${FONT}>0</text>`,
    `<text x="${x(maxX)}" y="${HEIGHT - EDGE / 2}" text-anchor="end" ${FONT}>${short(maxX)}</text>`,
    `<polyline points="${line}" fill="none" stroke="#1f6feb" stroke-width="2"/>`,
  ]);
}

const COLOURS = ['#1f6feb', '#2da44e', '#bf8700', '#cf222e', '#8250df', '#1b7c83', '#bc4c00', '#6e7781'];
const BAR = 40;
const ROW = 18;

/** One bar a row, of parts in the same order; values in one unit. */
export function stackSvg(
  title: string,
  unit: string,
  bars: readonly { name: string; parts: readonly { name: string; value: number }[] }[],
): string {
  const sum = (parts: readonly { value: number }[]) => parts.reduce((total, { value }) => total + value, 0);
  const longest = Math.max(...bars.map(({ parts }) => sum(parts)));
  const lines = [`<text x="${EDGE}" y="20" ${FONT}>${title}</text>`];
  const names = [...new Set(bars.flatMap(({ parts }) => parts.map(({ name }) => name)))];
  const colour = (name: string) => {
    const i = names.indexOf(name);
    // The eight colours come again, paler.
    return `fill="${COLOURS[i % COLOURS.length]}" fill-opacity="${i < COLOURS.length ? 1 : 0.5}"`;
  };
  let top = 36;
  for (const { name, parts } of bars) {
    lines.push(`<text x="${EDGE}" y="${top}" ${FONT}>${name}: ${short(sum(parts))} ${unit}</text>`);
    let left = EDGE;
    for (const part of parts) {
      const width = (part.value / longest) * (WIDTH - 2 * EDGE);
      lines.push(
        `<rect x="${left.toFixed(1)}" y="${top + 6}" width="${width.toFixed(1)}" height="${BAR - 12}" ${colour(part.name)}><title>${part.name}: ${short(part.value)} ${unit}</title></rect>`,
      );
      left += width;
    }
    top += BAR + 14;
  }
  for (const [i, name] of names.entries()) {
    const [x, y] = [EDGE + (i % 3) * 220, top + Math.floor(i / 3) * ROW];
    lines.push(`<rect x="${x}" y="${y}" width="10" height="10" ${colour(name)}/>`);
    lines.push(`<text x="${x + 16}" y="${y + 9}" ${FONT}>${name}</text>`);
  }
  return svg(title, top + Math.ceil(names.length / 3) * ROW + 8, lines);
}

function svg(title: string, height: number, lines: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">\n<title>${title}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n${lines.join('\n')}\n</svg>\n`;
}

function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
