import { toString as render } from 'qrcode';

const BLACK_ON_WHITE = '\u001b[30;107m';
const RESET = '\u001b[0m';

/**
 * A QR code as lines of text. In colour its squares are dark on light whatever the terminal's own colours are;
 * without, they are in the text's colour. What no code can hold (2953 bytes at most) is said to be too long.
 */
export async function qrText(
  text: string,
  colour = process.stdout.isTTY === true && !process.env.NO_COLOR,
): Promise<string> {
  const plain = await render(text, { type: 'utf8', errorCorrectionLevel: 'L', margin: 4 }).catch(tooLong);
  if (plain === null) return 'it is too long for a QR code';
  if (!colour) return plain;
  return plain
    .split('\n')
    .map((line) => `${BLACK_ON_WHITE}${line}${RESET}`)
    .join('\n');
}

function tooLong(error: Error): null {
  if (error.message.startsWith('The amount of data is too big')) return null;
  throw error;
}
