/** TDLs of every kind, for property tests. */
import * as fc from 'fast-check'
import { ARCHITECTURES, type Tdl, type TdlContent } from '../factory/tdl/tdl.ts'
import type { InstallSource } from '../factory/template.ts'

const KiB = 1024

/** Plain objects, as a parser makes them. */
function record<T, K extends keyof T = keyof T>(
  model: { [Key in keyof T]: fc.Arbitrary<T[Key]> },
  requiredKeys?: K[],
) {
  return fc.record(model, { noNullPrototype: true, ...(requiredKeys && { requiredKeys }) })
}

/** Words with whatever XML, YAML and templates take for their own; no white space at their ends. */
const line = fc
  .string({
    unit: fc.constantFrom(...Array.from('aZ0-._ <>&"\'{}%:#[]!|*é𝄞')),
    minLength: 1,
    maxLength: 20,
  })
  .filter((text) => text.trim() === text)

const lines = fc.array(line, { minLength: 1, maxLength: 4 }).map((all) => all.join('\n'))

const path = fc
  .array(
    line.map((text) => text.replaceAll(/[./]/g, '_')),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) => `/${parts.join('/')}`)

const host = fc.constantFrom('mirror.example.org', '192.0.2.7:8080', '[2001:db8::1]')

const address = fc
  .tuple(
    fc.constantFrom('http', 'https'),
    host,
    fc.constantFrom('', '/', '/a/b?c=d&e=%20', '/{{x}}'),
  )
  .map(([scheme, where, rest]) => `${scheme}://${where}${rest}`)

function contentOf(raw: fc.Arbitrary<string>, minLength: number): fc.Arbitrary<TdlContent> {
  return fc.oneof(
    raw.map((text) => ({ type: 'raw' as const, text })),
    fc
      .uint8Array({ minLength, maxLength: 40 })
      .map((bytes) => ({ type: 'base64' as const, bytes: Buffer.from(bytes) })),
    address.map((url) => ({ type: 'url' as const, url })),
  )
}

const install: fc.Arbitrary<InstallSource> = fc.oneof(
  address.map((url) => ({ type: 'url' as const, url })),
  record(
    {
      type: fc.constant('iso' as const),
      url: address,
      checksum: record({
        algorithm: fc.constantFrom('md5' as const, 'sha1' as const, 'sha256' as const),
        url: address,
      }),
      extras: fc
        .array(
          record({
            kind: fc.constantFrom('file' as const, 'directory' as const),
            source: path,
            destination: path,
          }),
          { maxLength: 3 },
        )
        .map((all) => all.toSorted((a, b) => (a.kind < b.kind ? 1 : a.kind > b.kind ? -1 : 0))),
    },
    ['type', 'url', 'extras'],
  ),
)

const maybe = (text: fc.Arbitrary<string>) => fc.option(text, { nil: null })

const commands = fc.array(record({ name: line, content: contentOf(lines, 1) }), { maxLength: 3 })

export const tdls: fc.Arbitrary<Tdl> = record({
  name: line,
  description: fc.oneof(fc.constant(''), lines),
  os: record({
    name: fc.constantFrom('Debian', 'Ubuntu', 'Fedora', 'RHEL-7', 'OpenSUSE', 'MockOS_A'),
    version: line,
    arch: fc.constantFrom(...ARCHITECTURES),
  }),
  install,
  rootPassword: maybe(line),
  productKey: maybe(line),
  kernelParameters: maybe(line),
  icicleCommand: maybe(lines),
  diskSize: fc.option(
    fc
      .tuple(
        fc.integer({ min: 1, max: 999 }),
        fc.constantFrom(1e3, 1e6, KiB, KiB ** 2, KiB ** 3, KiB ** 4),
      )
      .map(([count, unit]) => count * unit),
    { nil: null },
  ),
  repositories: fc.uniqueArray(
    record({
      name: line,
      url: address,
      signed: fc.boolean(),
      persisted: fc.boolean(),
      sslVerify: fc.boolean(),
    }),
    { selector: ({ name }) => name, maxLength: 3 },
  ),
  packages: fc.uniqueArray(
    record({
      name: fc.constantFrom('nginx', 'libc6:i386', 'bash=5.2-*', '@core', 'a*', "it's"),
    }),
    { selector: ({ name }) => name, maxLength: 4 },
  ),
  files: fc.uniqueArray(record({ path, content: contentOf(fc.oneof(fc.constant(''), lines), 0) }), {
    selector: (file) => file.path,
    maxLength: 3,
  }),
  precommands: commands,
  commands,
})
