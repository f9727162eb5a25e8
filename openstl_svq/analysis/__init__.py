"""Costs, times, tables and pictures: what is said about models and their forecasts."""
