export {
  type CacheIdentity,
  openReferenceCache,
  type ReferenceCache,
  type ScoredSequence,
} from "./reference-cache.ts";
