/** The recipe of a target image: what the operator puts into every image of its kind, then what its cloud wants. */
import { parse } from 'yaml'
import type { Facts } from '../../remotes/facts.ts'
import { osOfGuest } from '../_os-of-guest.ts'
import type { CloudTarget } from '../cloud-target.ts'
import { type TargetContent, toTargetRecipe } from '../tdl/target-content.ts'
import { writeRecipe } from '../tdl/to-recipe.ts'
import type { Template } from '../template.ts'

export interface Fitting {
  readonly target: CloudTarget
  /** Of the target. */
  readonly options: unknown
  readonly content: TargetContent
  readonly template: Pick<Template, 'os'>
}

/** Whether anything could be put into an image at all. */
export function canFit({ target, content }: Pick<Fitting, 'target' | 'content'>): boolean {
  return target.fit !== undefined || content.length > 0
}

/**
 * The recipe, as YAML; undefined: nothing is put in. The operator's repositories come first: packages that the cloud
 * wants may be in them.
 */
export function fitRecipe(
  { target, options, content, template }: Fitting,
  facts: Facts,
): string | undefined {
  const wanted = target.fit?.(facts, options)
  const { name: os, version, arch } = template.os ?? osOfGuest(facts)
  const added = toTargetRecipe(content, { target: target.name, os, version, arch })
  if (wanted === undefined || added === undefined) return wanted ?? added
  const [first, second] = [readRecipe(added), readRecipe(wanted)]
  const validators = [...(first.validators ?? []), ...(second.validators ?? [])]
  return writeRecipe({ ...second, validators })
}

/** A recipe that was made here. It is read as recipes are. */
function readRecipe(text: string): { readonly validators?: readonly unknown[] } {
  return parse(text, { version: '1.1' }) as { readonly validators?: readonly unknown[] }
}
