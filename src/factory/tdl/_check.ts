/** Compares elements with the grammar: all that is there and should not be, and the other way round. */
import type { Place, RecipeFault } from '../../recipes/recipe.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import type { ChildRule, ElementRule } from './_grammar.ts'
import { show, trimSpace } from './_text-rules.ts'
import type { XmlElement } from './_xml.ts'

/** Faults are listed up to here; a file that is no template has one in every line. */
const MAX_FAULTS = 100

/** What is wrong with a template, as it is found. */
export class Faults {
  readonly #all: RecipeFault[] = []

  error(place: Place, message: string): void {
    this.#all.push({ severity: 'error', place, message })
  }

  warn(place: Place, message: string): void {
    this.#all.push({ severity: 'warning', place, message })
  }

  /** In the order in which they stand in the files, not too many. */
  get list(): readonly RecipeFault[] {
    const sorted = this.#all.toSorted(
      ({ place: a }, { place: b }) =>
        a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column,
    )
    const last = sorted[MAX_FAULTS]
    if (!last) return sorted
    const message = `and ${sorted.length - MAX_FAULTS} more`
    return [...sorted.slice(0, MAX_FAULTS), { severity: 'error', place: last.place, message }]
  }

  get some(): boolean {
    return this.#all.some(({ severity }) => severity === 'error')
  }
}

/** The text of an element, as rules and readers see it: without white space at its ends. */
export function textOf({ children }: XmlElement): string {
  return trimSpace(children.map((child) => (child.kind === 'text' ? child.text : '')).join(''))
}

export function attributeOf(element: XmlElement, name: string): string | undefined {
  return element.attributes.find((attribute) => attribute.name === name)?.value
}

/** Says all that is wrong with an element and what is below it. */
export function checkElement(element: XmlElement, rule: ElementRule, faults: Faults): void {
  checkAttributes(element, rule, faults)
  const content = contentRule(element, rule)
  if (content?.children) checkChildren(element, content, content.children, faults)
  else if (content) checkText(element, content, faults)
}

/** What an element holds; undefined if that depends on an attribute that is wrong. */
function contentRule(element: XmlElement, rule: ElementRule): ElementRule | undefined {
  if (!rule.by) return rule
  const value = attributeOf(element, rule.by.attribute) ?? rule.by.default ?? ''
  return Object.hasOwn(rule.by.cases, value) ? rule.by.cases[value] : undefined
}

function checkAttributes(element: XmlElement, rule: ElementRule, faults: Faults): void {
  const rules = rule.attributes ?? {}
  const known = Object.keys(rules)
  for (const { name, value, place } of element.attributes) {
    const own = Object.hasOwn(rules, name) ? rules[name] : undefined
    const why = own?.words ? faultOfWord(value, own.words) : own?.text?.(value)
    if (!own)
      faults.error(
        place,
        `<${element.name}> has no attribute '${name}'${didYouMean(name, known) || (known.length > 0 ? `; wanted ${known.join(', ')}` : '')}`,
      )
    else if (why !== undefined) faults.error(place, `'${name}' of <${element.name}>: ${why}`)
  }
  for (const [name, { required }] of Object.entries(rules))
    if (required && attributeOf(element, name) === undefined)
      faults.error(element.place, `<${element.name}> lacks its attribute '${name}'`)
}

function checkText(element: XmlElement, rule: ElementRule, faults: Faults): void {
  const inner = element.children.find((child) => child.kind === 'element')
  if (inner)
    return faults.error(inner.place, `<${element.name}> holds a text, found <${inner.name}>`)
  const text = textOf(element)
  const why = rule.words ? faultOfWord(text, rule.words) : rule.text?.(text)
  if (why !== undefined) faults.error(element.place, `<${element.name}>: ${why}`)
}

function checkChildren(
  element: XmlElement,
  rule: ElementRule,
  rules: Readonly<Record<string, ChildRule>>,
  faults: Faults,
): void {
  const known = Object.keys(rules)
  const seen = new Map<string, XmlElement>()
  for (const child of element.children) {
    if (child.kind === 'text') {
      const text = trimSpace(child.text)
      if (text !== '')
        faults.error(child.place, `<${element.name}> holds no text, found ${show(text)}`)
      continue
    }
    const own = child.namespace === null && Object.hasOwn(rules, child.name) && rules[child.name]
    if (!own) {
      faults.error(
        child.place,
        `<${child.name}> cannot stand in <${element.name}>${hint(child, known)}`,
      )
      continue
    }
    const key = own.group ?? child.name
    const earlier = seen.get(key)
    if (earlier && own.count !== 'any')
      faults.error(
        child.place,
        `<${element.name}> has one <${child.name}> at most; <${earlier.name}> stands on line ${earlier.place.line}`,
      )
    seen.set(key, earlier ?? child)
    checkElement(child, own.element, faults)
  }
  for (const [name, { count }] of Object.entries(rules))
    if (count === 'one' && !seen.has(name))
      faults.error(element.place, `<${element.name}> lacks its element <${name}>`)
  if (rule.filled && seen.size === 0)
    faults.error(element.place, `<${element.name}> is empty; wanted ${known.join(' or ')}`)
}

function hint(child: XmlElement, known: readonly string[]): string {
  if (child.namespace !== null) return ': elements of a TDL have no namespace'
  return didYouMean(child.name, known) || (known.length > 0 ? `; wanted ${known.join(', ')}` : '')
}

function faultOfWord(text: string, words: readonly string[]): string | undefined {
  return words.includes(text)
    ? undefined
    : `wanted ${words.join(', ').replace(/, ([^,]*)$/, ' or $1')}, found ${show(text)}${didYouMean(text, words)}`
}
