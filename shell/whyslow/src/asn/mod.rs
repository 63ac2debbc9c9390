//! Address to network and country, from tables the operator imports.
