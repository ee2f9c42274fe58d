import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { parseTdl } from './parse-tdl.ts'
import { readTdl } from './read-tdl.ts'

const path = await tempDir()

function faultOf(text: string): string {
  const { tdl, faults } = parseTdl(text, { file: 'a.tdl' })
  assert.equal(tdl, undefined)
  const [fault] = faults
  return `${fault?.place.line}:${fault?.place.column}: ${fault?.message}`
}

const BOMB = `<!DOCTYPE t [\n<!ENTITY a "ha">\n${Array.from({ length: 20 }, (_, level) => `<!ENTITY a${level} "${'&a;'.repeat(10)}">`).join('\n')}]>\n<template>&a19;</template>`

const HOSTILE: readonly (readonly [what: string, text: string, fault: RegExp])[] = [
  ['nothing', '', /^1:1: wanted XML/],
  ['something else', 'name: a\n', /^1:1: wanted XML/],
  ['a document type', '<!DOCTYPE template>\n<template/>', /^1:1: a template has no document type/],
  ['entities that multiply', BOMB, /^1:1: a template has no document type/],
  [
    'a file of this host as an entity',
    '\n<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><t>&x;</t>',
    /^2:1: a template has no/,
  ],
  [
    'entities that nobody declared',
    '<template>\n  <name>&x;</name></template>',
    /^2:9: wanted &amp;/,
  ],
  ['a plain ampersand', '<template>a & b</template>', /^1:13: wanted &amp;/],
  ['characters that are none', '<a>&#0;</a>', /^1:4: this character reference/],
  ['more characters that are none', '<a>&#x110000;</a>', /^1:4: this character reference/],
  ['control characters', '<a>\n\u0001</a>', /^2:1: the character U\+0001 cannot stand in XML/],
  ['half a character', '<a>\ud800</a>', /^1:4: the character U\+D800/],
  [
    'another encoding',
    '<?xml version="1.0" encoding="UTF-7"?><a/>',
    /^1:31: wanted a template in UTF-8, found the encoding UTF-7/,
  ],
  ['a declaration that is none', '<?xml encoding="UTF-8"?><a/>', /^1:1: wanted <\?xml/],
  [
    'elements without an end',
    '<template><name></template>',
    /^1:11: this is no well-formed XML: .*mismatch/,
  ],
  [
    'elements that nobody opened',
    '<template/></name>',
    /^1:12: here ends an element that did not begin/,
  ],
  ['two documents', '<template/><template/>', /^1:12: this is no well-formed XML/],
  ['a text behind it', '<template/>x', /^1:\d+: this is no well-formed XML/],
  ['a comment without an end', '<template>\n<!-- ', /^2:1: this comment has no end/],
  ['a section without an end', '<template><![CDATA[', /^1:11: this CDATA section has no end/],
  ['a tag without an end', '<template', /^1:1: wanted a tag/],
  [
    'an attribute twice',
    '<template a="" a=""/>',
    /^1:1: this is no well-formed XML: Attribute a redefined/,
  ],
  ['attributes without quotes', '<template version=1.0/>', /^1:\d+: this is no well-formed XML/],
  ['a prefix that nobody declared', '<x:template/>', /^1:1: this is no well-formed XML/],
  ['the end of a section that never began', '<a>]]></a>', /^1:4: wanted \]\]&gt;/],
]

describe('XML with', () => {
  for (const [what, text, fault] of HOSTILE)
    it(`${what} is refused, with its place`, () => {
      assert.match(faultOf(text), fault)
    })

  it('a million characters and more is refused', () => {
    assert.match(
      faultOf(`<a>${' '.repeat(2 ** 20)}</a>`),
      /^1:1: wanted at most 1048576 characters/,
    )
  })

  it('much of anything is refused before time is spent on it', () => {
    const million = 2 ** 20 - 100
    const fill = (piece: string) => piece.repeat(Math.floor(million / piece.length))
    for (const [piece, fault] of [
      ['<a>', /nested deeper than 32 levels/],
      ['<a/>', /more than 20000 elements/],
      ['<', /wanted a tag/],
      ['&lt;', /no well-formed XML: unclosed/],
      ['<![CDATA[', /has no end/],
      ['<a b="', /wanted a tag/],
      ['</a>', /did not begin/],
    ] as const)
      assert.match(faultOf(`<template>${fill(piece)}`), fault, piece)
    assert.match(
      faultOf(`<a ${Array.from({ length: 30_000 }, (_, n) => `a${n}=""`).join(' ')}/>`),
      /more than 20000/,
    )
  })

  it('large contents is taken', () => {
    const base64 = Buffer.alloc(600_000, 'x').toString('base64')
    const text = `<template><name>a</name><os><name>a</name><version>1</version><arch>i386</arch><install type="url"><url>http://a/</url></install></os><files><file name="/a" type="base64">${base64}</file></files></template>`
    const { tdl } = parseTdl(text, { file: 'a.tdl' })
    assert.equal(tdl?.files[0]?.content.type, 'base64')
  })
})

describe('the file of a template', () => {
  it('is UTF-8, or refused where it is not', async () => {
    await writeFile(
      path('latin.tdl'),
      Buffer.from('<template>\n <name>caf\xe9</name></template>', 'latin1'),
    )
    assert.deepEqual(await readTdl(path('latin.tdl')), {
      severity: 'error',
      place: { file: path('latin.tdl'), line: 2, column: 11 },
      message: 'wanted a template in UTF-8, found bytes that are no text in it',
    })
    await writeFile(path('wide.tdl'), Buffer.from('\ufeff<template/>', 'utf16le'))
    const fault = await readTdl(path('wide.tdl'))
    assert.match(typeof fault === 'string' ? '' : fault.message, /found UTF-16$/)
    await writeFile(path('good.tdl'), '\ufeff<template/>')
    assert.equal(await readTdl(path('good.tdl')), '<template/>')
  })

  it('is there', async () => {
    await assert.rejects(readTdl(path('none.tdl')), failsWith('FILE_NOT_FOUND'))
  })
})
