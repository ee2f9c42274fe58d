import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { GiB } from '../../base/units.ts'
import { parseTdl } from './parse-tdl.ts'

const EXAMPLES = join(import.meta.dirname, '../../../examples/tdl')

/** What a template may be made of: each test puts something else in place of a part. */
const PARTS = {
  name: '<name>web</name>',
  os: '<name>Debian</name><version>12</version><arch>x86_64</arch>',
  install: '<install type="url"><url>http://deb.example.org/debian/</url></install>',
  rest: '',
}

type Parts = Partial<typeof PARTS>

/** A template of two lines; what stands in `rest` begins at the second. */
function template(parts: Parts): string {
  const { name, os, install, rest } = { ...PARTS, ...parts }
  return `<template version="1.0">${name}<os>${os}${install}</os>\n${rest}</template>`
}

/** All that is wrong, as `line:column: message`. */
function faultsOf(text: string, options: { requireRootPassword?: boolean } = {}): string[] {
  return parseTdl(text, { file: 'a.tdl', ...options }).faults.map(
    ({ severity, place, message }) =>
      `${place.line}:${place.column}: ${severity === 'warning' ? 'warning: ' : ''}${message}`,
  )
}

function read(parts: Parts) {
  const { tdl, faults } = parseTdl(template(parts), { file: 'a.tdl' })
  assert.ok(tdl, faults.map(({ message }) => message).join('\n'))
  return tdl
}

describe('a template', () => {
  it('says what is installed, and from where', () => {
    const tdl = read({})
    assert.equal(tdl.name, 'web')
    assert.deepEqual(tdl.os, { name: 'Debian', version: '12', arch: 'x86_64' })
    assert.deepEqual(tdl.install, { type: 'url', url: 'http://deb.example.org/debian/' })
    assert.equal(tdl.diskSize, null)
  })

  it('may use every element, in files of their own too', () => {
    const text = readFileSync(join(EXAMPLES, 'everything.tdl'), 'utf8')
    const readResource = (name: string) => readFileSync(join(EXAMPLES, name))
    const { tdl, faults } = parseTdl(text, { file: 'everything.tdl', readResource })
    assert.deepEqual(faults, [])
    assert.equal(tdl?.install.type, 'iso')
    assert.equal(tdl?.diskSize, 20 * GiB)
    assert.deepEqual(
      tdl?.commands.map(({ name }) => name),
      ['configure', 'start at boot', 'register'],
    )
    assert.deepEqual(
      tdl?.repositories.map(({ signed, persisted, sslVerify }) => [signed, persisted, sslVerify]),
      [
        [true, true, true],
        [false, false, false],
      ],
    )
    assert.deepEqual(tdl?.files[1]?.content, {
      type: 'raw',
      text: 'This is a banner\nof two lines.',
    })
  })

  it('may have its elements in any order', () => {
    const os = '<arch>i386</arch><version>12</version><name>Debian</name>'
    const tdl = read({ name: '<description>d</description>', os, rest: '<name>web</name>' })
    assert.equal(tdl.os.arch, 'i386')
  })

  it('has its commands run by their positions', () => {
    const rest =
      '<commands><command name="b" position="2">b</command><command name="a" position="1">a</command></commands>'
    assert.deepEqual(
      read({ rest }).commands.map(({ name }) => name),
      ['a', 'b'],
    )
  })

  it('gives a disk in units of 1024 and of 1000', () => {
    for (const [text, size] of [
      ['7', 7 * GiB],
      ['7G', 7 * GiB],
      ['7T', 7 * 1024 * GiB],
      [' 7 GiB ', 7 * GiB],
      ['7GB', 7e9],
      ['7KB', 7e3],
      ['2EiB', 2 * 1024 ** 6],
    ] as const)
      assert.equal(read({ rest: `<disk><size>${text}</size></disk>` }).diskSize, size, text)
  })

  it('puts a file whose path is not absolute where root is at home', () => {
    const { files } = read({ rest: '<files><file name="a.txt"> b </file></files>' })
    assert.deepEqual(files, [{ path: '/root/a.txt', content: { type: 'raw', text: 'b' } }])
  })

  it('replaces what stands twice by the last, and warns', () => {
    const rest = '<files><file name="/a">1</file><file name="/a">2</file></files>'
    assert.deepEqual(read({ rest }).files, [{ path: '/a', content: { type: 'raw', text: '2' } }])
    assert.deepEqual(faultsOf(template({ rest })), [
      "2:32: warning: '/a' stands twice, first on line 2; the last one counts",
    ])
  })
})
