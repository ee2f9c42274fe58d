/** The files that come along with a template, as text: what a database keeps, and another Ingot is sent. */

/** In base64, by their paths. */
export type PackedFiles = Readonly<Record<string, string>>

export function packFiles(files: Readonly<Record<string, Uint8Array>> = {}): PackedFiles {
  return mapValues(files, (content) => Buffer.from(content).toString('base64'))
}

/** What `packFiles` made. */
export function unpackFiles(packed: PackedFiles): Readonly<Record<string, Uint8Array>> {
  return mapValues(packed, (content) => Buffer.from(content, 'base64'))
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  work: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([path, value]) => [path, work(value)]))
}
