import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { contentOf, readTreeArchive } from './read-tree-archive.ts'
import { settleHoles } from './settle-holes.ts'
import type { ReadContent, TreeFile, TreeMember } from './tree-archive.ts'
import { TreeArchiveWriter } from './write-tree-archive.ts'

const PLAIN = { mode: 0o644, uid: 0, gid: 0, mtime: 5, extended: new Map() }
const ROOT: TreeMember = { ...PLAIN, path: '', mode: 0o755, node: { type: 'directory' } }
const file = (path: string): TreeMember => ({
  ...PLAIN,
  path,
  node: { type: 'file', size: 1, data: [{ offset: 0, length: 1 }] },
})
const link = (path: string, target: string): TreeMember => ({
  ...PLAIN,
  path,
  node: { type: 'link', target },
})
const hardLink = (path: string, target: string): TreeMember => ({
  ...PLAIN,
  path,
  node: { type: 'hard link', target },
})

/** Content in which each byte depends on where it stands. */
const pattern: ReadContent = async (offset, length) =>
  Buffer.from(Array.from({ length }, (_, index) => ((offset + index) % 251) + 1))

async function archiveOf(
  members: readonly TreeMember[],
  read: ReadContent = pattern,
): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const writer = new TreeArchiveWriter(async (bytes) => void parts.push(Buffer.from(bytes)))
  for (const member of members) await writer.add(member, read)
  await writer.end()
  return Buffer.concat(parts)
}

const readBack = async (bytes: Buffer) => await readTreeArchive(memorySource(bytes, 'a.tar'))

/** Whether a failure is of this code and says this. */
const refused = (text: RegExp) => (error: unknown) =>
  failsWith('IMAGE_UNSAFE')(error) && error instanceof Error && text.test(error.message)

const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 120 })
  .map((text) => Buffer.from(text).toString('latin1').replaceAll(/[/\0]/g, '_').slice(0, 255))
  .filter((text) => text !== '.' && text !== '..')
const attributes = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  mtime: fc.integer({ min: -(2 ** 31), max: 2 ** 34 }),
  extended: fc
    .array(fc.tuple(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ maxLength: 300 })))
    .map((entries) => new Map(entries.map(([key, value]) => [key, Buffer.from(value)]))),
})
const number = fc.integer({ min: 0, max: 2 ** 20 })
const ownPrototype = { noNullPrototype: true }
const node = fc.oneof(
  fc.constant({ type: 'directory' } as const),
  fc.constant({ type: 'fifo' } as const),
  fc.record(
    { type: fc.constant('link' as const), target: fc.string({ minLength: 1 }) },
    ownPrototype,
  ),
  fc.record(
    { type: fc.constantFrom('character', 'block'), major: number, minor: number },
    ownPrototype,
  ),
  fc.integer({ min: 0, max: 5000 }).map((size) => ({
    type: 'file' as const,
    size,
    data: size > 0 ? [{ offset: 0, length: size }] : [],
  })),
)
const tree = fc.uniqueArray(fc.record({ path: name, attributes, node }), {
  selector: ({ path }) => path,
  maxLength: 12,
})

describe('archives of trees', () => {
  it('give back every member as it was', async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (entries) => {
        const members = entries
          .map(({ path, attributes, node }): TreeMember => {
            const bytes = 'target' in node ? Buffer.from(node.target).toString('latin1') : ''
            return {
              path,
              ...attributes,
              node: 'target' in node ? { ...node, target: bytes.replaceAll('\0', '_') } : node,
            }
          })
          .sort((a, b) => (a.path < b.path ? -1 : 1))
        const bytes = await archiveOf([ROOT, ...members])
        const found = await readBack(bytes)
        assert.deepEqual(
          found,
          found.map(({ places }, index) => ({ ...[ROOT, ...members][index], places })),
        )
        for (const member of found)
          if (member.node.type === 'file') {
            const read = contentOf(memorySource(bytes), member)
            assert.deepEqual(
              Buffer.from(await read(0, member.node.size)),
              await pattern(0, member.node.size),
            )
          }
      }),
      { numRuns: 150 },
    )
  })

  it('are what GNU tar reads, names of all kinds and lengths included', async () => {
    const long = `${'d'.repeat(200)}/${'n'.repeat(200)}`
    const bytes = await archiveOf([
      ROOT,
      { ...ROOT, path: 'd'.repeat(200) },
      file(long),
      file('new\nline'),
      file(Buffer.from('naïve').toString('latin1')),
      link('link', 't/'.repeat(100)),
      { ...PLAIN, path: 'disk', node: { type: 'block', major: 8, minor: 1 } },
      { ...file('owned'), uid: 3_000_000_000, mode: 0o4755 },
    ])
    const listed = (await runTool(['tar', '--utc', '-tvf', '-'], { input: bytes })).toString()
    assert.deepEqual(
      listed
        .trim()
        .split('\n')
        .map((line) => line.replaceAll(/ +/g, ' ').replace('1970-01-01 00:00 ', '')),
      [
        'drwxr-xr-x 0/0 0 ./',
        `drwxr-xr-x 0/0 0 ${'d'.repeat(200)}/`,
        `-rw-r--r-- 0/0 1 ${long}`,
        '-rw-r--r-- 0/0 1 new\\nline',
        '-rw-r--r-- 0/0 1 naïve',
        `lrw-r--r-- 0/0 0 link -> ${'t/'.repeat(100)}`,
        'brw-r--r-- 0/0 8,1 disk',
        '-rwsr-xr-x 3000000000/0 1 owned',
      ],
    )
  })

  it('hold files with holes, of which only the data is stored', async () => {
    const size = 5 * MiB + 3
    const data = [
      { offset: MiB, length: 64 * KiB },
      { offset: 5 * MiB, length: 3 },
    ]
    const bytes = await archiveOf([
      ROOT,
      { ...file('holes'), node: { type: 'file', size, data } },
      { ...file('hole'), node: { type: 'file', size, data: [] } },
    ])
    assert.ok(bytes.length < 128 * KiB)
    const extract = (path: string) => runTool(['tar', '-xOf', '-', path], { input: bytes })
    const wanted = Buffer.alloc(size)
    for (const { offset, length } of data) wanted.set(await pattern(offset, length), offset)
    assert.ok((await extract('holes')).equals(wanted))
    assert.ok((await extract('hole')).equals(Buffer.alloc(size)))
    const [, empty, holes] = await readBack(bytes)
    assert.deepEqual([empty?.node, holes?.node], [
      { type: 'file', size, data: [] },
      { type: 'file', size, data },
    ]) // prettier-ignore
    assert.ok(holes !== undefined)
    const read = contentOf(memorySource(bytes), holes)
    assert.deepEqual(Buffer.from(await read(MiB - 5, 10)), wanted.subarray(MiB - 5, MiB + 5))
  })

  it('are sorted, and of several names of a file the first has its content', async () => {
    const bytes = await archiveOf([ROOT, file('m'), hardLink('z', 'm'), hardLink('a', 'm')])
    const found = await readBack(bytes)
    assert.deepEqual(
      found.map(({ path, node }) => [path, node.type, 'target' in node ? node.target : '']),
      [
        ['', 'directory', ''],
        ['a', 'file', ''],
        ['m', 'hard link', 'a'],
        ['z', 'hard link', 'a'],
      ],
    )
  })

  it('are the same bytes for the same tree', async () => {
    const extended = new Map([
      ['user.b', Buffer.from('2')],
      ['user.a', Buffer.from('1')],
    ])
    const turned = new Map([...extended].reverse())
    const [one, other] = [extended, turned].map((extended) => ({ ...file('x'), extended }))
    assert.ok(one && other)
    assert.ok((await archiveOf([ROOT, one])).equals(await archiveOf([ROOT, other])))
  })
})

describe('an archive that is not that of a tree is refused:', () => {
  const cases: Record<string, [readonly TreeMember[], RegExp]> = {
    'a path that climbs': [[ROOT, file('a/../../etc/passwd')], /`\.\.` parts/],
    'an absolute path': [[ROOT, file('/etc/passwd')], /an absolute path/],
    'a path of more than 4096 bytes': [[ROOT, file('x/'.repeat(2100))], /a path of 4199 bytes/],
    'a name that is there twice': [[ROOT, file('a'), file('a')], /"\/a" is there twice/],
    'a file below a link': [
      [ROOT, link('a', '/etc'), file('a/passwd')],
      /stands below no directory/,
    ],
    'a file below nothing': [[ROOT, file('a/b')], /stands below no directory/],
    'a tree without a root': [[file('a')], /stands below no directory/],
    'a hard link out of it': [[ROOT, hardLink('a', '../etc/passwd')], /`\.\.` parts/],
    'a hard link to nothing': [[ROOT, hardLink('a', 'b')], /a hard link to nothing/],
    'a hard link to a directory': [[ROOT, hardLink('a', '')], /a hard link to nothing/],
    'hard links in a circle': [[ROOT, hardLink('a', 'b'), hardLink('b', 'a')], /a hard link to/],
  }
  for (const [what, [members, why]] of Object.entries(cases))
    it(what, async () => {
      await assert.rejects(archiveOf(members).then(readBack), refused(why))
    })

  it('one that is cut', async () => {
    const bytes = await archiveOf([ROOT, file('a')])
    for (const length of [0, 100, 512, 1024])
      await assert.rejects(readBack(bytes.subarray(0, length)), failsWith('IMAGE_TRUNCATED'))
  })

  it('a type of member that no tree has', async () => {
    const bytes = await archiveOf([ROOT, file('a')])
    const header = bytes.subarray(512, 1024)
    header.write('V', 156)
    header.fill(' ', 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    await assert.rejects(readBack(bytes), refused(/a member of type "V"/))
  })

  it('any bytes, with a failure and never anything else', async () => {
    const good = await archiveOf([
      ROOT,
      { ...file('s'), node: { type: 'file', size: MiB, data: [] } },
      { ...file('x'), extended: new Map([['user.a', Buffer.from('1')]]) },
    ])
    const place = fc.integer({ min: 0, max: good.length - 1 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(place, fc.integer({ min: 0, max: 255 }))), async (all) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of all) bytes[at] = value
        // a header whose sum is wrong ends it at once; so that is put right
        for (let at = 0; at + 512 <= bytes.length; at += 512) mend(bytes.subarray(at, at + 512))
        await readBack(bytes).catch((error: unknown) => {
          assert.ok(failsWith('IMAGE_UNSAFE')(error) || failsWith('IMAGE_TRUNCATED')(error))
        })
      }),
      { numRuns: 300 },
    )
  })
})

function mend(header: Buffer): void {
  if (header.toString('latin1', 257, 262) !== 'ustar') return
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

const settle = async (content: Buffer, data: TreeFile['data']) =>
  (
    await settleHoles({ type: 'file', size: content.length, data }, async (offset, length) =>
      content.subarray(offset, offset + length),
    )
  ).data

describe('holes', () => {
  it('are where long runs of zeros are, however the file was written', async () => {
    const content = Buffer.alloc(8 * MiB + 5)
    content[3 * MiB + 7] = 1
    content[3 * MiB + 200 * KiB] = 1
    const wanted = [{ offset: 3 * MiB, length: 256 * KiB }]
    assert.deepEqual(await settle(content, [{ offset: 0, length: content.length }]), wanted)
    assert.deepEqual(
      await settle(content, [
        { offset: 3 * MiB, length: 4 * KiB },
        { offset: 3 * MiB + 196 * KiB, length: 8 * KiB },
      ]),
      wanted,
    )
  })

  it('are not made of short runs, nor in small files', async () => {
    const content = Buffer.alloc(2 * MiB)
    content[0] = content[MiB + 1] = content[2 * MiB - 1] = 1
    const whole = [{ offset: 0, length: content.length }]
    assert.deepEqual(await settle(content, [...whole]), whole)
    assert.deepEqual(await settle(content.subarray(0, 100), []), [{ offset: 0, length: 100 }])
    assert.deepEqual(await settle(Buffer.alloc(0), []), [])
  })

  it('may be all of a file, its start and its end', async () => {
    const content = Buffer.alloc(4 * MiB)
    assert.deepEqual(await settle(content, []), [])
    content[2 * MiB] = 1
    assert.deepEqual(await settle(content, [{ offset: 0, length: content.length }]), [
      { offset: 2 * MiB, length: 64 * KiB },
    ])
  })
})
