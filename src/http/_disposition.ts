/**
 * A Content-Disposition that makes browsers save under this name, whatever it holds: no path, no
 * control character, nothing that ends the header; other alphabets for those who read them.
 * Source: RFC 6266, RFC 8187.
 */
export function toDisposition(fileName: string): string {
  const name =
    fileName
      .toWellFormed()
      .replaceAll(/[/\\\p{Cc}\p{Cf}\u2028\u2029]/gu, '_')
      .replace(/^\.+/, '_')
      .slice(-200) || 'disk'
  const plain = name.replaceAll(/[^\w .+-]/g, '_')
  const header = `attachment; filename="${plain}"`
  if (plain === name) return header
  const encoded = encodeURIComponent(name.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `${header}; filename*=UTF-8''${encoded}`
}
