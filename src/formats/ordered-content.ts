import type { Content, Piece } from '../bytes/piece.ts'
import { placedContent, type Places } from './_places.ts'
import { joinedContent } from './_segments.ts'

/**
 * Content of which the first bytes do not depend on the last: head, one part for each cluster, tail. While
 * clusters are being made, `parts` knows where those stand that there are.
 */
export interface OrderedContent {
  readonly head: Content
  /** Where the parts stand behind the head. */
  readonly parts: Places
  /** Asked for when its cluster is there, and those before it. */
  partAt(cluster: number): readonly Piece[]
  /** Asked for when all clusters are there. */
  tail(): Content
}

/** All of it. */
export function wholeContent({ head, parts, partAt, tail }: OrderedContent): Content {
  return joinedContent(head, placedContent(parts, partAt), tail())
}
