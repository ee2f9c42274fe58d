import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTdl } from './parse-tdl.ts'

const XI = 'xmlns:xi="http://www.w3.org/2001/XInclude"'

function template(rest: string): string {
  return `<template ${XI}><name>a</name><os><name>Debian</name><version>12</version><arch>i386</arch><install type="url"><url>http://a/</url></install></os>
${rest}</template>`
}

type Files = Readonly<Record<string, string | Uint8Array>>

function parse(text: string, files?: Files) {
  const asked: string[] = []
  const readResource = (name: string) => {
    asked.push(name)
    const content = files?.[name]
    if (content === undefined) throw new Error('there is none')
    return Buffer.from(content)
  }
  const { tdl, faults } = parseTdl(text, { file: 'dir/a.tdl', ...(files && { readResource }) })
  return {
    tdl,
    asked,
    faults: faults.map(
      ({ place, message }) => `${place.file}:${place.line}:${place.column}: ${message}`,
    ),
  }
}

const include = (href: string, more = '', inside = '') =>
  `<xi:include href="${href}" ${more}>${inside}</xi:include>`

describe('an included file', () => {
  it('stands in the place of the inclusion', () => {
    const { tdl, faults } = parse(template(include('p.xml')), {
      'p.xml': '<packages><package name="nginx"/></packages>',
    })
    assert.deepEqual(faults, [])
    assert.deepEqual(tdl?.packages, [{ name: 'nginx' }])
  })

  it('may be a text, which is taken as it stands', () => {
    const files = `<files><file name="/a">${include('a.txt', 'parse="text"')}</file></files>`
    const { tdl } = parse(template(files), { 'a.txt': '<b> & ]]>' })
    assert.deepEqual(tdl?.files[0]?.content, { type: 'raw', text: '<b> & ]]>' })
  })

  it('may be a text in another encoding', () => {
    const files = `<files><file name="/a">${include('a.txt', 'parse="text" encoding="iso-8859-1"')}</file></files>`
    const { tdl } = parse(template(files), { 'a.txt': Buffer.from('caf\xe9', 'latin1') })
    assert.deepEqual(tdl?.files[0]?.content, { type: 'raw', text: 'café' })
  })

  it('is looked for from the file that names it', () => {
    const { asked, tdl } = parse(template(include('sub/p.xml')), {
      'sub/p.xml': `<packages ${XI}>${include('../q%20r.xml')}${include('s.xml')}</packages>`,
      'q r.xml': '<package name="q"/>',
      'sub/s.xml': '<package name="s"/>',
    })
    assert.deepEqual(asked, ['sub/p.xml', 'q r.xml', 'sub/s.xml'])
    assert.deepEqual(tdl?.packages, [{ name: 'q' }, { name: 's' }])
  })

  it('may be the whole template', () => {
    const { tdl } = parse(`<xi:include ${XI} href="t.xml"/>`, { 't.xml': template('') })
    assert.equal(tdl?.name, 'a')
  })

  it('has its faults told by its own places', () => {
    const { faults } = parse(template(include('sub/p.xml')), {
      'sub/p.xml': '<packages>\n  <package/>\n</packages>',
    })
    assert.deepEqual(faults, ["dir/sub/p.xml:2:3: <package> lacks its attribute 'name'"])
  })

  it('that is no XML is told so', () => {
    const { faults } = parse(template(include('p.xml')), { 'p.xml': '<packages>\n<!DOCTYPE a>' })
    assert.match(faults.join(), /^dir\/p\.xml:2:1: a template has no document type/)
  })
})

describe('a file that is not there', () => {
  it('is replaced by the fallback', () => {
    const fallback = '<xi:fallback><packages><package name="f"/></packages></xi:fallback>'
    const { tdl } = parse(template(include('none.xml', '', fallback)), {})
    assert.deepEqual(tdl?.packages, [{ name: 'f' }])
  })

  it('is a fault without one', () => {
    const { faults } = parse(template(include('none.xml')), {})
    assert.deepEqual(faults, ["dir/a.tdl:2:1: 'none.xml' cannot be included: there is none"])
  })

  it('is every file, where none came with the template', () => {
    const { faults } = parse(template(include('p.xml')))
    assert.match(faults.join(), /no files were given with this template/)
  })
})

describe('an inclusion is refused that', () => {
  for (const [why, element, fault] of [
    [
      'leads out of the directory',
      include('../p.xml'),
      /wanted the path of a file in the template's directory/,
    ],
    ['leads out of it on a detour', include('sub/../../p.xml'), /in the template's directory/],
    ['leads out of it in disguise', include('%2e%2e/p.xml'), /in the template's directory/],
    ['is absolute', include('/etc/passwd'), /in the template's directory/],
    ['asks the web', include('http://example.org/p.xml'), /in the template's directory/],
    ['asks this host', include('file:///etc/passwd'), /in the template's directory/],
    ['wants a part', include('p.xml', 'xpointer="element(/1)"'), /not parts by xpointer/],
    ['names no file', '<xi:include parse="xml"/>', /lacks its attribute 'href'/],
    [
      'is to be read in another way',
      include('p.xml', 'parse="yaml"'),
      /parse="xml" or parse="text"/,
    ],
    [
      'has another attribute',
      include('p.xml', 'hreff="a"'),
      /no attribute 'hreff'; did you mean 'href'/,
    ],
    [
      'has two fallbacks',
      include('p.xml', '', '<xi:fallback/><xi:fallback/>'),
      /one fallback at most/,
    ],
    ['is something else', '<xi:exclude/>', /nothing of XInclude; wanted include/],
    ['is only a fallback', '<xi:fallback/>', /stands in an include only/],
  ] as const)
    it(why, () => {
      const { tdl, faults, asked } = parse(template(element), { 'p.xml': '<packages/>' })
      assert.equal(tdl, undefined)
      assert.equal(faults.length, 1, faults.join('\n'))
      assert.match(faults[0] ?? '', fault)
      assert.deepEqual(asked, [])
    })

  it('comes to itself', () => {
    const { faults } = parse(template(include('p.xml')), {
      'p.xml': `<packages ${XI}>${include('q.xml')}</packages>`,
      'q.xml': `<packages ${XI}>${include('p.xml')}</packages>`,
    })
    assert.match(faults.join('\n'), /^dir\/q\.xml:1:\d+: 'p\.xml' includes itself/m)
  })

  it('goes too deep, too often, or brings too much', () => {
    const deep = Object.fromEntries(
      Array.from({ length: 12 }, (_, n) => [
        `${n}.xml`,
        `<packages ${XI}>${include(`${n + 1}.xml`)}</packages>`,
      ]),
    )
    assert.match(
      parse(template(include('0.xml')), deep).faults.join('\n'),
      /wanted at most 8 files deep/,
    )
    const many = template(include('p.xml').repeat(250))
    assert.match(
      parse(many, { 'p.xml': '<packages/>' }).faults.join('\n'),
      /wanted at most 200 inclusions/,
    )
    const large = template(
      `<description>${include('p.txt', 'parse="text"').repeat(3)}</description>`,
    )
    assert.match(
      parse(large, { 'p.txt': 'x'.repeat(600_000) }).faults.join('\n'),
      /with all that is included/,
    )
    const doubling = Object.fromEntries(
      Array.from({ length: 7 }, (_, n) => [
        `${n}.xml`,
        `<a ${XI}>${include(`${n + 1}.xml`).repeat(10)}</a>`,
      ]),
    )
    assert.match(
      parse(template(include('0.xml')), doubling).faults.join('\n'),
      /at most 200 inclusions/,
    )
  })
})
