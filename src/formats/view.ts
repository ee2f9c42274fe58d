/**
 * Views: a disk format as pure arithmetic. From the map of a guest's disk (and, for compressed
 * formats, the index of its compressed clusters) any byte of any format can be told without writing
 * anything. A view does no I/O, reads no clock, draws no random number: two machines that hold the same
 * golden image serve the same bytes. Views stand in `views/`, and `views.ts` lists them.
 */
import type { Content } from '../bytes/piece.ts'
import type { ClusterCodec, ClusterIndex } from './cluster-index.ts'
import type { DiskMap } from './disk-map.ts'
import type { OrderedContent } from './ordered-content.ts'

/** A golden image as one file of some format. */
export interface View extends Content {
  /** The name by which it was asked for: `qcow2`, `vhd-fixed`. */
  readonly format: string
  /** Strong: the same bytes, always. Quoted as HTTP wants it. */
  readonly etag: string
}

/** What a view is made of. */
export interface ViewInput {
  readonly map: DiskMap
  /**
   * Names the content (`Golden.identity`): it decides every identifier inside the view, so all that give
   * out views of a disk take the same one, and give the same bytes. Any text.
   */
  readonly identity: string
  /**
   * The digest of all that the disk holds (`content-digest.ts`), for those who give out ETags: the identity
   * does not change with every byte. It makes no difference to the view's bytes.
   */
  readonly contentDigest?: string | undefined
  /** Needed by formats whose `needs` is not `map`. */
  readonly clusters?: ClusterIndex | undefined
  /** Where there are no clusters yet, what they will be: `ClusterIndex.edition`. Its ETag needs no more. */
  readonly edition?: string | undefined
  /**
   * Hexadecimal SHA-256 of the `vmdk-stream` view of the same image. With it OVAs have a manifest; left
   * out, they have none, which their format allows.
   */
  readonly vmdkDigest?: string | undefined
}

/** One format that can be served. */
export interface ViewFormat {
  readonly name: string
  readonly summary: string
  /** File endings by which it is known, without the dot; the first is used for names. */
  readonly endings: readonly string[]
  readonly mediaType: string
  /** What it is computed from: the map alone, or the store of clusters compressed so. */
  readonly needs: 'map' | 'deflate' | 'zstd'
  /** Clusters that it can be made of instead, and is smaller with, if no other format needs the store. */
  readonly smallestOf?: ClusterCodec
  /** Changed whenever the same golden gives other bytes. Part of the ETag. */
  readonly version: number
  /** Whether `vmdkDigest` makes a difference to it. */
  readonly usesVmdkDigest?: boolean
  /** Largest virtual size the format can hold, bytes. */
  readonly maxVirtualSize?: number
  /**
   * Its bytes; the gate (`makeView`) names them and checks ranges. Fails with VIEW_IMPOSSIBLE when
   * the disk does not fit the format.
   */
  make(input: ViewInput): Content
  /**
   * The same bytes, if they can be told from the first to the last while the clusters are being made: those
   * that `input` has are asked for one after the other. Undefined if the disk may not fit the format.
   */
  order?(input: ViewInput): OrderedContent | undefined
}
