/** Raised when an operation's inputs, outputs or attributes change, or one is worth building anew for its speed; tensor-core calls those of the version that it knows. */
export const operationsVersion = 14;
