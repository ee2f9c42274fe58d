/**
 * What an operator puts into every image for a kind of cloud (`target_content.xml`): packages and repositories, by
 * target and system. The most specific `include` is taken, and only that one. Source: Image Factory.
 */
import type { RecipeFault } from '../../recipes/recipe.ts'
import { attributeOf, checkElement, Faults } from './_check.ts'
import { checkRepositories } from './_check-rules.ts'
import { findAll, nameOf } from './_elements.ts'
import { type ElementRule, TEMPLATE } from './_grammar.ts'
import { lastOfEach, readRepository } from './_read-template.ts'
import { isLine } from './_text-rules.ts'
import { parseXml, type XmlElement } from './_xml.ts'
import type { TdlRepository } from './tdl.ts'
import { toPackageSteps, toRepositorySteps, writeRecipe } from './to-recipe.ts'

/** For what an include is meant; each key needs those before it. */
const KEYS = ['target', 'os', 'version', 'arch'] as const

/** For what content is wanted. */
export type TargetKey = Readonly<Record<(typeof KEYS)[number], string>>

interface Include {
  readonly key: Partial<TargetKey>
  readonly packages: readonly string[]
  readonly repositories: readonly TdlRepository[]
}

export type TargetContent = readonly Include[]

const { packages, repositories } = TEMPLATE.children ?? {}

const GRAMMAR: ElementRule = {
  children: {
    include: {
      count: 'any',
      element: {
        attributes: Object.fromEntries(KEYS.map((key) => [key, { required: false, text: isLine }])),
        children: { ...(packages && { packages }), ...(repositories && { repositories }) },
      },
    },
  },
}

/** The content, or undefined when `faults` has an error. */
export function parseTargetContent(
  text: string,
  file: string,
): { readonly content: TargetContent | undefined; readonly faults: readonly RecipeFault[] } {
  const root = parseXml(text, file)
  if ('severity' in root) return { content: undefined, faults: [root] }
  const faults = new Faults()
  if (root.name === 'template_includes') checkElement(root, GRAMMAR, faults)
  else faults.error(root.place, `wanted <template_includes>, found <${root.name}>`)
  const includes = findAll(root, 'include')
  for (const include of includes) {
    warnOfGap(include, faults)
    const osName = attributeOf(include, 'os') ?? ''
    checkRepositories(findAll(include, 'repositories', 'repository'), osName, faults)
  }
  return { content: faults.some ? undefined : includes.map(readInclude), faults: faults.list }
}

/** Source: Image Factory asks for target, os, version and arch, then leaves them out from the right. */
function warnOfGap(include: XmlElement, faults: Faults): void {
  const given = KEYS.filter((key) => attributeOf(include, key) !== undefined)
  const lacking = KEYS.slice(0, given.length).find((key) => !given.includes(key))
  if (lacking !== undefined)
    faults.warn(include.place, `this <include> is never taken: it lacks '${lacking}'`)
}

function readInclude(include: XmlElement): Include {
  const key = Object.fromEntries(
    KEYS.flatMap((name) => {
      const value = attributeOf(include, name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
  return {
    key,
    packages: lastOfEach(findAll(include, 'packages', 'package').map(nameOf), (name) => name),
    repositories: lastOfEach(
      findAll(include, 'repositories', 'repository').map(readRepository),
      ({ name }) => name,
    ),
  }
}

/** The recipe by which the content for a target and a system gets into an image; undefined: there is none. */
export function toTargetRecipe(content: TargetContent, wanted: TargetKey): string | undefined {
  const include = findInclude(content, wanted)
  if (!include || include.packages.length + include.repositories.length === 0) return undefined
  return writeRecipe({
    name: `content for ${wanted.target}`,
    validators: [
      ...toRepositorySteps(include.repositories),
      ...toPackageSteps(include.packages, wanted.os),
    ],
  })
}

/** The first of the most specific ones. */
function findInclude(content: TargetContent, wanted: TargetKey): Include | undefined {
  for (let count = KEYS.length; count >= 0; count--) {
    const found = content.find(({ key }) =>
      KEYS.every((name, index) => key[name] === (index < count ? wanted[name] : undefined)),
    )
    if (found) return found
  }
  return undefined
}
