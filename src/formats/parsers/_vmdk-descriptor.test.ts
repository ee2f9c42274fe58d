import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { FindingCode } from '../finding.ts'
import { parseVmdkDescriptor } from './_vmdk-descriptor.ts'

const TEXT = `# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW 20480 SPARSE "disk.vmdk"

#DDB
ddb.adapterType = "ide"
`

/** What is wrong with a text that stands in the file of the disk: code, and the text it points to. */
function faultsOf(text: string, embedded = true): [FindingCode, string][] {
  const { faults } = parseVmdkDescriptor(text, { embedded })
  return faults.map(({ code, at }) => [code, text.slice(at).split(/\r?\n/)[0] ?? ''])
}
const changed = (from: string, to: string) => faultsOf(TEXT.replace(from, to))
const added = (line: string) => faultsOf(`${TEXT}${line}\n`)

describe('the text that describes a VMDK', () => {
  it('is understood, and tells its type and its extent', () => {
    assert.deepEqual(parseVmdkDescriptor(TEXT, { embedded: true }), {
      createType: 'monolithicSparse',
      extents: [
        {
          access: 'RW',
          sectors: 20480,
          type: 'SPARSE',
          file: 'disk.vmdk',
          at: TEXT.indexOf('RW 2'),
        },
      ],
      faults: [],
    })
  })

  for (const [what, text] of Object.entries({
    'with the newlines of Windows': TEXT.replaceAll('\n', '\r\n'),
    'without blanks': TEXT.replaceAll(' = ', '='),
    'with blanks around its lines': TEXT.replaceAll(/^(?=.)/gm, '  '),
    'with a name beyond ASCII': TEXT.replace('disk.vmdk', Buffer.from('дом').toString('latin1')),
    'read only': TEXT.replace('RW 2', 'RDONLY 2'),
    'with an offset of 0': TEXT.replace('"disk.vmdk"', '"disk.vmdk" 0'),
    'of VMware': `${TEXT}encoding="UTF-8"\nisNativeSnapshot="no"\nddb.longContentID = "0123"\n`,
    'of VirtualBox': `${TEXT}ddb.uuid.parent="00000000-0000-0000-0000-000000000000"\nddb.comment=""\n`,
  }))
    it(`may be ${what}`, () => assert.deepEqual(faultsOf(text), []))

  it('names other files when it stands alone', () => {
    const line = 'RW 20480 SPARSE "disk.vmdk"'
    assert.deepEqual(faultsOf(TEXT, false), [['EXTERNAL_REFERENCE', line]])
    const flat = TEXT.replace(line, 'RW 2048 FLAT "/etc/passwd" 0\nRW 2048 VMFS "b.vmdk"')
    assert.deepEqual(faultsOf(flat, false), [
      ['EXTERNAL_REFERENCE', 'RW 2048 FLAT "/etc/passwd" 0'],
      ['EXTERNAL_REFERENCE', 'RW 2048 VMFS "b.vmdk"'],
    ])
    assert.deepEqual(
      parseVmdkDescriptor(flat).extents.map(({ file }) => file),
      ['/etc/passwd', 'b.vmdk'],
    )
  })
})

describe('refuses a text with', () => {
  for (const name of [
    '/etc/passwd',
    '../secret',
    'dir/disk',
    'dir\\disk',
    'C:disk',
    'json:{}',
    'nbd:x',
    '..',
    '',
  ])
    it(`the extent "${name}"`, () => {
      const [[code] = []] = changed('"disk.vmdk"', `"${name}"`)
      assert.equal(code, name === '' ? 'UNKNOWN_FEATURE' : 'EXTERNAL_REFERENCE')
    })

  const lines: [line: string, code: FindingCode][] = [
    ['RW 2048 SPARSE "second.vmdk"', 'EXTERNAL_REFERENCE'],
    ['RW 2048 FLAT "second.vmdk" 0', 'EXTERNAL_REFERENCE'],
    ['RW 2048 ZERO', 'UNKNOWN_FEATURE'],
    ['RW 2048 NEW "x" 1 2 3', 'UNKNOWN_FEATURE'],
    ['parentFileNameHint="/base.vmdk"', 'PARENT'],
    ['parentfilenamehint=base', 'PARENT'],
    ['isNativeSnapshot="yes"', 'PARENT'],
    ['ddb.nativeParentHint = "base"', 'PARENT'],
    ['ddb.uuid.parent = "01000000-0000-0000-0000-000000000000"', 'PARENT'],
    ['ddb.objectParentUri = "vvol:x"', 'PARENT'],
    ['changeTrackPath="disk-ctk.vmdk"', 'EXTERNAL_REFERENCE'],
    ['ddb.sidecars = "filter_1.vmfd"', 'EXTERNAL_REFERENCE'],
    ['digestFilename="x"', 'EXTERNAL_REFERENCE'],
    ['encryptionKeys="vmware:key"', 'ENCRYPTED'],
    ['ddb.iofilters = "x"', 'UNKNOWN_FEATURE'],
    ['include="x"', 'UNKNOWN_FEATURE'],
    ['anything at all', 'UNKNOWN_FEATURE'],
    ['version=2', 'DESCRIPTOR_INVALID'],
    ['ddb.adapterType = "lsilogic"', 'DESCRIPTOR_INVALID'],
    ['# createType="monolithicFlat"', 'DESCRIPTOR_INVALID'],
    ['# parentCID = 12345678', 'DESCRIPTOR_INVALID'],
    ['ddb.comment = "a\u0007b"', 'DESCRIPTOR_INVALID'],
  ]
  for (const [line, code] of lines)
    it(`the line ${JSON.stringify(line)}`, () => {
      const faults = added(line)
      assert.ok(
        faults.some(([found, place]) => found === code && place === line),
        JSON.stringify(faults),
      )
    })

  const changes: [from: string, to: string, code: FindingCode][] = [
    ['version=1\n', '', 'DESCRIPTOR_INVALID'],
    ['version=1', 'version=7', 'FORMAT_VERSION'],
    ['parentCID=ffffffff\n', '', 'DESCRIPTOR_INVALID'],
    ['parentCID=ffffffff', 'parentCID=00000001', 'PARENT'],
    ['CID=fffffffe', 'CID=none', 'DESCRIPTOR_INVALID'],
    ['createType="monolithicSparse"\n', '', 'DESCRIPTOR_INVALID'],
    ['RW 20480 SPARSE "disk.vmdk"\n', '', 'DESCRIPTOR_INVALID'],
    ['RW 20480', 'NOACCESS 20480', 'DESCRIPTOR_INVALID'],
    ['"disk.vmdk"', '"disk.vmdk" 128', 'DESCRIPTOR_INVALID'],
  ]
  for (const [from, to, code] of changes)
    it(`${JSON.stringify(to)} for ${JSON.stringify(from)}`, () =>
      assert.deepEqual(
        changed(from, to).map(([found]) => found),
        [code],
      ))

  it('nothing in it', () => assert.equal(faultsOf('').length, 4))
})

it('says something about any text, at a byte that it has', () => {
  const words = fc.constantFrom('RW', '1', 'SPARSE', '"', '=', ' ', '\n', '\r', '#', 'ddb.a', '\t')
  const texts = fc.oneof(
    fc.array(words).map((parts) => parts.join('')),
    fc.string(),
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const { at } of parseVmdkDescriptor(text).faults) assert.ok(at <= text.length)
    }),
  )
})
