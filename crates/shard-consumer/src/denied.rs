//! Which errors of AWS mean that credentials are missing, wrong, or not enough.

/// `code` is the error's, if the service has answered; `text` is the whole chain of causes.
pub(crate) fn is_denied(code: Option<&str>, text: &str) -> bool {
    match code {
        Some(code) => matches!(
            code,
            "AccessDeniedException"
                | "KMSAccessDeniedException"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "ExpiredTokenException"
                | "OptInRequired"
        ),
        // The SDK has no kind of its own for "no credentials"; the provider's words are part of the chain.
        None => text.contains("credentials"),
    }
}
