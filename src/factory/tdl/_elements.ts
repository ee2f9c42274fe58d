/** Ways through a tree of elements. */
import { attributeOf, textOf } from './_check.ts'
import type { XmlElement } from './_xml.ts'

/** The elements that a path of names leads to, in the order in which they stand. */
export function findAll(from: XmlElement, ...path: readonly string[]): readonly XmlElement[] {
  let found: readonly XmlElement[] = [from]
  for (const name of path)
    found = found.flatMap(({ children }) =>
      children.filter(
        (child): child is XmlElement => child.kind === 'element' && child.name === name,
      ),
    )
  return found
}

export function findOne(from: XmlElement, ...path: readonly string[]): XmlElement | undefined {
  return findAll(from, ...path)[0]
}

/** The text at a path, or undefined if nothing is there. */
export function textAt(from: XmlElement, ...path: readonly string[]): string | undefined {
  const found = findOne(from, ...path)
  return found && textOf(found)
}

export function nameOf(element: XmlElement): string {
  return attributeOf(element, 'name') ?? ''
}
