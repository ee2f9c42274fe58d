/** As every database keeps text. */
export function plainText(text: string): string {
  return text.replaceAll('\0', '␀').toWellFormed()
}
