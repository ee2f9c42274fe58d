/**
 * Our reading of the grammar against another program's: `xmllint` with schema/tdl.rng, on templates that are right and on
 * templates in which one or two things were broken.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findProgram, runProcess } from '../../base/process.ts'
import { tdls } from '../../testing/sample-tdl.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { checkElement, Faults } from './_check.ts'
import { TEMPLATE } from './_grammar.ts'
import { parseXml, type XmlElement, type XmlNode } from './_xml.ts'
import { parseTdl } from './parse-tdl.ts'
import { printTdl } from './print-tdl.ts'

const SCHEMA = join(import.meta.dirname, '../../../schema/tdl.rng')
const path = await tempDir()
const skip = findProgram('xmllint') === undefined && 'needs xmllint (libxml2-utils)'

/** Whether the schema takes each of these texts. */
async function judge(texts: readonly string[]): Promise<boolean[]> {
  const files = texts.map((_, index) => path(`${index}.tdl`))
  await Promise.all(files.map((file, index) => writeFile(file, texts[index] ?? '')))
  const { stderr } = await runProcess(['xmllint', '--noout', '--relaxng', SCHEMA, ...files], {
    maxOutput: 64 * 1024 * 1024,
  })
  const verdicts = new Set(stderr.toString().split('\n'))
  return files.map((file) => {
    assert.ok(verdicts.has(`${file} validates`) !== verdicts.has(`${file} fails to validate`), file)
    return verdicts.has(`${file} validates`)
  })
}

/** Faults of the grammar alone, without the rules that are beyond it. */
function grammarFaults(text: string): string[] {
  const root = parseXml(text, 'a.tdl')
  if ('severity' in root) return [root.message]
  if (root.name !== 'template') return ['another element']
  const faults = new Faults()
  checkElement(root, TEMPLATE, faults)
  return faults.list.map(({ message }) => message)
}

const NAMES =
  'template name os version arch install url iso md5sum sha256sum extras file directory rootpw key icicle extra_command disk size repositories repository signed packages package arguments files precommands commands command services'
const TEXTS = [
  '',
  ' ',
  'x',
  'a b',
  'two\nlines',
  '1',
  '0',
  '1.0',
  '10 G',
  '5KiB',
  '5K',
  'yes',
  'maybe',
  'raw',
  'base64',
  'url',
  'iso',
  'x86_64',
  'AAE=',
  'AAE',
  'A A\nE=',
  'http://a/',
  'http://a b',
  'ftp://a/',
  'gopher://a',
  '/a',
  'a/',
  '/a/../b',
  '.',
  '-a',
  'é',
  '\u0085',
]
const ATTRIBUTES = ['name', 'type', 'version', 'position', 'source', 'destination', 'id']

/** What may be done to an element; `pick` chooses by a number. */
const MUTATIONS: Readonly<
  Record<
    string,
    (
      element: XmlElement,
      pick: <T>(from: readonly T[]) => T,
      root: XmlElement,
    ) => readonly XmlNode[]
  >
> = {
  drop: () => [],
  double: (element) => [element, element],
  rename: (element, pick) => [{ ...element, name: pick(NAMES.split(' ')) }],
  say: (element, pick) => [{ ...element, children: [textNode(element, pick(TEXTS))] }],
  add: (element, pick) => [
    { ...element, children: [...element.children, textNode(element, pick(TEXTS))] },
  ],
  move: (element, pick, root) => [
    {
      ...element,
      children: [...element.children, pick(allOf(root).filter((one) => one !== root))],
    },
  ],
  reverse: (element) => [{ ...element, children: element.children.toReversed() }],
  set: (element, pick) => [withAttribute(element, pick(ATTRIBUTES), pick(TEXTS))],
  unset: (element, pick) => [withAttribute(element, pick(ATTRIBUTES), undefined)],
}

function textNode({ place }: XmlElement, text: string): XmlNode {
  return { kind: 'text', text, place }
}

function withAttribute(element: XmlElement, name: string, value: string | undefined): XmlElement {
  const others = element.attributes.filter((one) => one.name !== name)
  const added = value === undefined ? [] : [{ name, value, place: element.place }]
  return { ...element, attributes: [...others, ...added] }
}

function allOf(element: XmlElement): XmlElement[] {
  return [
    element,
    ...element.children.flatMap((child) => (child.kind === 'element' ? allOf(child) : [])),
  ]
}

function replace(node: XmlNode, old: XmlNode, by: readonly XmlNode[]): readonly XmlNode[] {
  if (node === old) return by
  if (node.kind === 'text') return [node]
  return [{ ...node, children: node.children.flatMap((child) => replace(child, old, by)) }]
}

function write(node: XmlNode): string {
  if (node.kind === 'text') return escape(node.text)
  const attributes = node.attributes
    .map(({ name, value }) => ` ${name}="${escape(value)}"`)
    .join('')
  return `<${node.name}${attributes}>${node.children.map(write).join('')}</${node.name}>`
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`)
}

const mutation = fc.tuple(
  fc.constantFrom(...Object.keys(MUTATIONS)),
  fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
)

const broken = fc.tuple(tdls, fc.array(mutation, { maxLength: 2 })).map(([tdl, mutations]) => {
  let root = parseXml(printTdl(tdl), 'a.tdl') as XmlElement
  for (const [name, [where = 0, ...numbers]] of mutations) {
    const elements = allOf(root)
    const element = elements[where % elements.length] ?? root
    const pick = <T>(from: readonly T[]) => from[(numbers.shift() ?? 0) % from.length] as T
    const [next] = replace(root, element, MUTATIONS[name]?.(element, pick, root) ?? [])
    if (next?.kind === 'element') root = next
  }
  return write(root)
})

const template = (parts: string, install = '<url>http://a.example/</url>') =>
  `<template><name>a</name><os><name>Debian</name><version>12</version><arch>x86_64</arch><install type="url">${install}</install></os>${parts}</template>`

describe('the grammar of TDLs', { skip }, () => {
  it('is that of schema/tdl.rng, for templates that are right and for broken ones', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const texts = fc.sample(broken, { numRuns: 1000, seed })
    const verdicts = await judge(texts)
    for (const [index, text] of texts.entries()) {
      const faults = grammarFaults(text)
      assert.equal(
        faults.length === 0,
        verdicts[index],
        `seed ${seed}: ${text}\n${faults.join('\n')}`,
      )
    }
    const taken = verdicts.filter(Boolean).length
    assert.ok(taken > 100 && taken < 900, `${taken} of ${texts.length} are right`)
  })

  it('leaves these rules to us', async () => {
    const beyond = [
      template('<disk><size>0</size></disk>'),
      template('<disk><size>9YiB</size></disk>'),
      template(
        '<commands><command name="a" position="1">b</command><command name="c">d</command></commands>',
      ),
      template(
        '<commands><command name="a" position="1">b</command><command name="c" position="1">d</command></commands>',
      ),
      template('<commands><command name="a" position="2">b</command></commands>'),
      template('', '<url>http://localhost/</url>'),
      template(
        '<repositories><repository name="a"><url>http://localhost/</url></repository></repositories>',
      ),
      template(
        '<repositories><repository name="a"><url>nonsense</url></repository></repositories>',
      ),
      template('<files><file name="/a" type="url">file:///none</file></files>'),
      template('<commands><command name="a" type="url">file:///none</command></commands>'),
      template('', '<url>http://[/</url>'),
    ]
    assert.deepEqual(
      await judge(beyond),
      beyond.map(() => true),
    )
    for (const text of beyond) assert.equal(parseTdl(text, { file: 'a.tdl' }).tdl, undefined, text)
  })
})
