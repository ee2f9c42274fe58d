/**
 * What may stand in a TDL: every element, its attributes, and the rules of texts, as one table. Source: the language
 * as Oz describes it; `tdl.rng` says the same to programs that read RELAX NG.
 */
import { ARCHITECTURES } from './tdl.ts'
import {
  isAddress,
  isBase64,
  isBoolean,
  isContentAddress,
  isFilePath,
  isLine,
  isPackageName,
  isPosition,
  isSize,
  isSomething,
  type TextRule,
} from './_text-rules.ts'

export interface AttributeRule {
  readonly required: boolean
  /** The words that it may be. */
  readonly words?: readonly string[]
  readonly text?: TextRule
}

/** How often a child may stand there: once, perhaps once, as often as you like. */
export type Count = 'one' | 'optional' | 'any'

export interface ChildRule {
  readonly count: Count
  readonly element: ElementRule
  /** Of the children with the same group, one at most. */
  readonly group?: string
}

export interface ElementRule {
  readonly attributes?: Readonly<Record<string, AttributeRule>>
  /** It holds a text, trimmed, and no elements. */
  readonly text?: TextRule
  readonly words?: readonly string[]
  readonly children?: Readonly<Record<string, ChildRule>>
  /** It holds at least one child. */
  readonly filled?: boolean
  /** What it holds depends on an attribute; `default` is the value if that is left out. */
  readonly by?: {
    readonly attribute: string
    readonly default?: string
    readonly cases: Readonly<Record<string, ElementRule>>
  }
}

const one = (element: ElementRule): ChildRule => ({ count: 'one', element })
const optional = (element: ElementRule, group?: string): ChildRule => ({
  count: 'optional',
  element,
  ...(group !== undefined && { group }),
})
const any = (element: ElementRule): ChildRule => ({ count: 'any', element })

const name = { name: { required: true, text: isLine } }
const typed: Readonly<Record<string, AttributeRule>> = {
  ...name,
  type: { required: false, words: ['raw', 'base64', 'url'] },
}

const CHECKSUM = optional({ text: isAddress }, 'checksum')

const EXTRA: ElementRule = {
  attributes: {
    source: { required: true, text: isSomething },
    destination: { required: true, text: isSomething },
  },
  children: {},
}

const INSTALL: ElementRule = {
  attributes: { type: { required: true, words: ['url', 'iso'] } },
  by: {
    attribute: 'type',
    cases: {
      url: { children: { url: one({ text: isAddress }) } },
      iso: {
        children: {
          iso: one({ text: isAddress }),
          md5sum: CHECKSUM,
          sha1sum: CHECKSUM,
          sha256sum: CHECKSUM,
          extras: optional({
            filled: true,
            children: { file: any(EXTRA), directory: any(EXTRA) },
          }),
        },
      },
    },
  },
}

const OS: ElementRule = {
  children: {
    name: one({ text: isLine }),
    version: one({ text: isLine }),
    arch: one({ words: ARCHITECTURES }),
    install: one(INSTALL),
    rootpw: optional({ text: isLine }),
    key: optional({ text: isLine }),
    kernelparam: optional({ text: isLine }),
    icicle: optional({ children: { extra_command: one({ text: isSomething }) } }),
  },
}

const YES_NO = optional({ text: isBoolean })

const REPOSITORY: ElementRule = {
  attributes: name,
  children: {
    url: one({ text: isLine }),
    signed: YES_NO,
    persisted: YES_NO,
    sslverify: YES_NO,
  },
}

const IGNORED = optional({ text: () => undefined })

const PACKAGE: ElementRule = {
  attributes: { name: { required: true, text: isPackageName } },
  children: { repository: IGNORED, file: IGNORED, arguments: IGNORED },
}

const FILE: ElementRule = {
  attributes: { ...typed, name: { required: true, text: isFilePath } },
  by: {
    attribute: 'type',
    default: 'raw',
    cases: {
      raw: { text: () => undefined },
      base64: { text: isBase64 },
      url: { text: isContentAddress },
    },
  },
}

const COMMAND: ElementRule = {
  attributes: { ...typed, position: { required: false, text: isPosition } },
  by: {
    attribute: 'type',
    default: 'raw',
    cases: {
      raw: { text: isSomething },
      base64: { text: (text) => isSomething(text) ?? isBase64(text) },
      url: { text: isContentAddress },
    },
  },
}

const COMMANDS = optional({ children: { command: any(COMMAND) } })

export const TEMPLATE: ElementRule = {
  attributes: { version: { required: false, words: ['1.0'] } },
  children: {
    name: one({ text: isLine }),
    os: one(OS),
    description: optional({ text: () => undefined }),
    disk: optional({ children: { size: one({ text: isSize }) } }),
    repositories: optional({ children: { repository: any(REPOSITORY) } }),
    packages: optional({ children: { package: any(PACKAGE) } }),
    files: optional({ children: { file: any(FILE) } }),
    precommands: COMMANDS,
    commands: COMMANDS,
  },
}
